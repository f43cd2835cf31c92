"""What a memory test writes. Pure: each pattern says which 64-bit word belongs at which place, and nothing else.

A pattern fills a tensor with the words of places `first`, `first` + 1, ...; the same function that writes the memory
makes what is expected of it, so a place can be checked without keeping what was written. All words are int64 tensors,
read as 64 raw bits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import torch

Fill = Callable[[torch.Tensor, int, int, int], None]
"""(out, first, seed, cycle): fill `out`, int64 of shape (words,), with the words of places first, first + 1, ..."""

_GAMMA = -7046029254386353131  # 0x9E3779B97F4A7C15, the golden ratio, as a signed word
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One test of all places."""

    summary: str
    """What it would find."""
    fill: Fill
    is_inverted_after: bool = False
    """Once read, each place is at once overwritten with the complement, upwards and then downwards (moving inversions:
    a place disturbed by the write beside it shows)."""
    is_left_alone: bool = False
    """The memory is not touched for a while between writing and reading (bit fade)."""


def fill_walking_ones(out: torch.Tensor, first: int, seed: int, cycle: int) -> None:
    """One bit of each word set: bit (place + cycle) mod 64, so 64 cycles set every bit of every word once."""
    del seed
    bits = [1 << ((first + place + cycle) % 64) for place in range(64)]
    period = torch.tensor([bit - (1 << 64) if bit >> 63 else bit for bit in bits], dtype=torch.int64, device=out.device)
    whole = out.numel() // 64 * 64
    out[:whole].view(-1, 64).copy_(period)
    out[whole:].copy_(period[: out.numel() - whole])


def fill_walking_zeros(out: torch.Tensor, first: int, seed: int, cycle: int) -> None:
    """The complement of `fill_walking_ones`."""
    fill_walking_ones(out, first, seed, cycle)
    out.bitwise_not_()


def fill_own_address(out: torch.Tensor, first: int, seed: int, cycle: int) -> None:
    """Each word holds its place, in bytes from the start of the tested memory; complemented in every second cycle."""
    del seed
    torch.mul(_places(out, first), 8, out=out)
    if cycle % 2:
        out.bitwise_not_()


def fill_inversions(out: torch.Tensor, first: int, seed: int, cycle: int) -> None:
    """The same random word everywhere, a new one each cycle."""
    del first
    out.fill_(_word(seed, cycle))


def fill_random(out: torch.Tensor, first: int, seed: int, cycle: int) -> None:
    """A random word at each place, new ones each cycle: element `first` + i of the SplitMix64 sequence of the seed.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014. Integer arithmetic only, so every
    device makes the same words.
    """
    state = _places(out, first + 1).mul_(_GAMMA).add_(_word(seed, cycle))
    out.copy_(_mixed(state))


def fill_ones(out: torch.Tensor, first: int, seed: int, cycle: int) -> None:
    """All bits set."""
    del first, seed, cycle
    out.fill_(-1)


def fill_zeros(out: torch.Tensor, first: int, seed: int, cycle: int) -> None:
    """No bit set."""
    del first, seed, cycle
    out.zero_()


PATTERNS = MappingProxyType(
    {
        "walking ones": Pattern(summary="a bit that sticks at 0, or to its neighbours", fill=fill_walking_ones),
        "walking zeros": Pattern(summary="a bit that sticks at 1, or to its neighbours", fill=fill_walking_zeros),
        "own address": Pattern(summary="two addresses that reach the same place", fill=fill_own_address),
        "moving inversions": Pattern(
            summary="a place disturbed by writes beside it", fill=fill_inversions, is_inverted_after=True
        ),
        "random": Pattern(summary="what depends on the data", fill=fill_random),
        "bit fade ones": Pattern(summary="cells that lose a 1", fill=fill_ones, is_left_alone=True),
        "bit fade zeros": Pattern(
            summary="cells that lose a 0 (some store it as charge)", fill=fill_zeros, is_left_alone=True
        ),
    }
)
"""Every pattern, in the order in which a cycle runs them. Names and methods as in memtest86."""


def _places(like: torch.Tensor, first: int) -> torch.Tensor:
    """first, first + 1, ... in the shape of `like`."""
    return torch.arange(first, first + like.numel(), dtype=torch.int64, device=like.device)


def _mixed(words: torch.Tensor) -> torch.Tensor:
    """The finalizer of SplitMix64, in place."""
    words ^= _shifted_right(words, 30)
    words *= _MIX_1
    words ^= _shifted_right(words, 27)
    words *= _MIX_2
    words ^= _shifted_right(words, 31)
    return words


def _word(seed: int, cycle: int) -> int:
    """A random word for each cycle of each seed (any integer; its low 62 bits count)."""
    return int(_mixed(torch.tensor([(seed * 0x10001 + cycle) & ((1 << 62) - 1)], dtype=torch.int64)))


def _shifted_right(words: torch.Tensor, by: int) -> torch.Tensor:
    """Logical shift; torch's own shift of int64 copies the sign bit."""
    return (words >> by) & ((1 << (64 - by)) - 1)
