"""What ranks send, so that what every rank must receive is known exactly; and how many elements of it are wrong.

All values are small integers: sums are exact in every format, in whatever order they are added. Contents change with
each `salt`, and a receive buffer is filled with a value that no operation gives before it is checked: so what is left
over from an earlier check shows. Buffers are flat tensors; nothing here talks to another rank.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from fryer.collectives.busbw import REDUCING

STALE = -1
"""Fills a receive buffer before a check; no operation gives a negative number."""
_EXACT: dict[torch.dtype, int] = {
    torch.float32: 2**24,
    torch.float16: 2**11,
    torch.bfloat16: 2**8,
    torch.int32: 2**31 - 1,
}
"""Up to here a format holds every integer (IEEE 754: 24, 11 and 8 bits of significand)."""
_WORDS = 251
"""Prime, and exact in bfloat16."""
_ADDENDS = 7
_TOTAL = _ADDENDS * (_ADDENDS - 1) // 2
_CHUNK_ELEMENTS = 1 << 22
"""Compared at once; bounds the memory of a check to a few tens of MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of elements of a receive buffer, and where they come from."""

    start: int
    length: int
    source: int | None
    """Rank whose elements they are; None: the sum over all ranks."""
    source_start: int
    """Place in the send buffer of that rank (of each rank, for a sum)."""


def fill_send(buffer: torch.Tensor, operation: str, rank: int, num_ranks: int, salt: int) -> None:
    """Fill the send buffer of `rank` with its contents number `salt`."""
    if operation in REDUCING:
        _tile(buffer, _addends(buffer, rank, num_ranks, salt), 0)
    else:
        _tile(buffer, _words(buffer, rank, salt), 0)


def pieces(operation: str, rank: int, num_ranks: int, count: int) -> Iterator[Piece]:
    """What `rank` must have received; nothing where it receives nothing. `count` as in `fryer.collectives.busbw`."""
    if operation == "all_reduce" or (operation == "reduce" and rank == 0):
        yield Piece(start=0, length=count, source=None, source_start=0)
    elif operation == "reduce_scatter":
        yield Piece(start=0, length=count, source=None, source_start=rank * count)
    elif operation == "broadcast":
        yield Piece(start=0, length=count, source=0, source_start=0)
    elif operation == "scatter":
        yield Piece(start=0, length=count, source=0, source_start=rank * count)
    elif operation == "sendrecv":
        yield Piece(start=0, length=count, source=(rank - 1) % num_ranks, source_start=0)
    elif operation in {"all_gather", "hypercube"} or (operation == "gather" and rank == 0):
        for source in range(num_ranks):
            yield Piece(start=source * count, length=count, source=source, source_start=0)
    elif operation == "alltoall":
        for source in range(num_ranks):
            yield Piece(start=source * count, length=count, source=source, source_start=rank * count)


def count_wrong(buffer: torch.Tensor, operation: str, rank: int, num_ranks: int, count: int, salt: int) -> int:
    """How many elements that `rank` received are not what they must be. NaN is wrong."""
    return sum(_wrong_in(buffer, piece, num_ranks, salt) for piece in pieces(operation, rank, num_ranks, count))


def _wrong_in(buffer: torch.Tensor, piece: Piece, num_ranks: int, salt: int) -> int:
    period = _sums(buffer, num_ranks, salt) if piece.source is None else _words(buffer, piece.source, salt)
    received = buffer[piece.start : piece.start + piece.length]
    step = max(1, _CHUNK_ELEMENTS // len(period)) * len(period)
    expected = torch.empty(min(step, piece.length), dtype=buffer.dtype, device=buffer.device)
    _tile(expected, period, piece.source_start)
    wrong = torch.zeros((), dtype=torch.int64, device=buffer.device)
    for start in range(0, piece.length, step):
        chunk = received[start : start + step]
        wrong += torch.ne(chunk, expected[: len(chunk)]).sum()
    return int(wrong)


def _period(dtype: torch.dtype, num_ranks: int) -> int:
    """After how many elements addends repeat: sums stay exact, and are not the same everywhere."""
    share = -(-num_ranks // (_EXACT[dtype] // _TOTAL))
    period = max(_ADDENDS, share)
    while num_ranks % period == 0:
        period += 1
    return period


def _small(residues: torch.Tensor) -> torch.Tensor:
    return torch.where(residues < _ADDENDS, residues, 0)


def _addends(like: torch.Tensor, rank: int, num_ranks: int, salt: int) -> torch.Tensor:
    """One period of what `rank` adds: (place + rank + salt) mod the period, 0 where that is not small."""
    period = _period(like.dtype, num_ranks)
    residues = torch.arange(period, device=like.device).add_(rank + salt).remainder_(period)
    return _small(residues).to(like.dtype)


def _sums(like: torch.Tensor, num_ranks: int, salt: int) -> torch.Tensor:
    """One period of the addends of all ranks together."""
    period = _period(like.dtype, num_ranks)
    addends = _small(torch.arange(period, device=like.device).add_(salt).remainder_(period))
    rounds, rest = divmod(num_ranks, period)
    total = addends.sum() * rounds + torch.zeros_like(addends)
    for rank in range(rest):
        total += addends.roll(-rank)
    return total.to(like.dtype)


def _words(like: torch.Tensor, source: int, salt: int) -> torch.Tensor:
    """One period of what `source` sends where nothing is added."""
    places = torch.arange(_WORDS, device=like.device)
    return places.add_(31 * source + 97 * salt).remainder_(_WORDS).to(like.dtype)


def _tile(buffer: torch.Tensor, period: torch.Tensor, start: int) -> None:
    """Fill a flat buffer with `period` over and over, beginning at its place `start`."""
    turned = period.roll(-(start % len(period)))
    whole = buffer.numel() // len(turned) * len(turned)
    buffer[:whole].view(-1, len(turned)).copy_(turned)
    buffer[whole:].copy_(turned[: buffer.numel() - whole])
