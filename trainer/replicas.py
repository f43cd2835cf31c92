"""What ranks hold of one model: which parts must be equal, and which must not be. Pure.

Source of the second rule: SmolLM3 trained on 1T tokens with one seed on all tensor parallel ranks. The shards of each
matrix began equal, the loss looked normal, and only evaluations showed it: 46,080 GPU-hours lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """One parameter of one rank."""

    digest: str
    """Of shape, type and bits."""
    is_sharded: bool
    """Each tensor parallel rank has another part of it; otherwise all of it."""
    is_random: bool
    """A matrix that isn't one value throughout: two that were drawn apart are never equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """All of one rank."""

    tensor: int
    """Tensor parallel rank."""
    weights: Mapping[str, Weight]
    """By name in the whole model: the same on each rank for the same parameter."""


def problem_of(by_rank: Sequence[Held]) -> str:
    """Why these ranks must not train together, in one sentence; empty: they may."""
    return _unequal_copies(by_rank) or _equal_parts(by_rank)


def _unequal_copies(by_rank: Sequence[Held]) -> str:
    seen: dict[tuple[str, int | None], tuple[int, str]] = {}
    for rank, name, part, weight in _all(by_rank):
        first, digest = seen.setdefault((name, part), (rank, weight.digest))
        if digest != weight.digest:
            return (
                f"ranks {first} and {rank} hold copies of {name} that differ ({digest} and {weight.digest}); weights "
                f"were drawn or loaded differently there, or memory is bad: test both nodes, then resume"
            )
    return ""


def _equal_parts(by_rank: Sequence[Held]) -> str:
    seen: dict[str, tuple[int, str, int | None]] = {}
    for rank, name, part, weight in _all(by_rank):
        if not weight.is_random:
            continue
        first, other, other_part = seen.setdefault(weight.digest, (rank, name, part))
        if other == name and other_part != part:
            return (
                f"ranks {first} and {rank} hold different parts of {name}, and these are equal to the bit: their "
                f"generators had one seed; give each tensor parallel rank its own"
            )
        if other != name:
            return (
                f"{other} of rank {first} and {name} of rank {rank} are equal to the bit: their generators had one "
                f"seed; give each pipeline stage its own"
            )
    return ""


def _all(by_rank: Sequence[Held]) -> list[tuple[int, str, int | None, Weight]]:
    """(rank, name, part, weight); part: which tensor parallel rank's, None: all of it."""
    return [
        (rank, name, held.tensor if weight.is_sharded else None, weight)
        for rank, held in enumerate(by_rank)
        for name, weight in held.weights.items()
    ]
