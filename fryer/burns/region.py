"""The memory that a test covers: as much as was asked for, in pieces, since free memory is seldom in one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

LARGEST_PIECE_BYTES = 1 << 30
SMALLEST_PIECE_BYTES = 16 << 20
DEVICE_SLICE_BYTES = 64 << 20
"""What is filled or compared at once. Above the L2 cache of an H100 (50 MB), so that making what is expected drives
what was read out of it."""
HOST_SLICE_BYTES = 1 << 20
"""The same on processors, where intermediate results that stay in the cache are ten times cheaper."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Consecutive places of the region."""

    first: int
    """Place of its first word; places are numbered through all pieces."""
    words: torch.Tensor
    """int64, shape (words,)."""


@dataclass(frozen=True, slots=True)
class Region:
    """Memory in one or more pieces, numbered through in words of 8 bytes."""

    pieces: tuple[torch.Tensor, ...]
    """int64, flat."""
    slice_words: int
    """Length of a slice, or less at the end of a piece."""

    @property
    def num_bytes(self) -> int:
        """Of all pieces."""
        return sum(piece.nbytes for piece in self.pieces)

    def slices(self, *, is_downwards: bool = False) -> Iterator[Slice]:
        """All places in order, or backwards, each once."""
        cuts = []
        first = 0
        for piece in self.pieces:
            for words in torch.split(piece, self.slice_words):
                cuts.append(Slice(first, words))
                first += words.numel()
        yield from reversed(cuts) if is_downwards else cuts


def _allocate(num_words: int, device: torch.device) -> torch.Tensor:
    return torch.empty(num_words, dtype=torch.int64, device=device)


def slice_words(device: torch.device) -> int:
    """Length of a slice that suits memory of `device`."""
    return (HOST_SLICE_BYTES if device.type == "cpu" else DEVICE_SLICE_BYTES) // 8


def obtain(
    wanted_bytes: int, device: torch.device, allocate: Callable[[int, torch.device], torch.Tensor] = _allocate
) -> Region:
    """Allocate up to `wanted_bytes` in pieces as large as can be had; the caller looks at how much it became.

    `allocate(num_words, device)` gives int64 of shape (num_words,), or raises RuntimeError, as torch does, when there
    is none.
    """
    pieces: list[torch.Tensor] = []
    left, size = wanted_bytes, LARGEST_PIECE_BYTES
    while left >= 8 and size >= SMALLEST_PIECE_BYTES:
        try:
            pieces.append(allocate(min(size, left) // 8, device))
        except RuntimeError:  # torch.OutOfMemoryError on a GPU, plain RuntimeError from the CPU's allocator
            size //= 2
        else:
            left -= pieces[-1].nbytes
    return Region(tuple(pieces), slice_words(device))
