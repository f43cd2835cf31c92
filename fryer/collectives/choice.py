"""Which collectives a run sweeps over which sizes: what somebody asked for, else what suits the hardware. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from fryer.collectives.busbw import check_operation
from fryer.collectives.cases import OPERATIONS
from fryer.collectives.sweep import LARGEST_BYTES, SMALLEST_BYTES, Wanted, parse_size, sizes
from watchdog.vocabulary.errors import UsageError

_ALL, _NONE = "all", "none"
_FACTOR, _SPARSE_FACTOR = 2, 8
"""nccl-tests' usual factor; and that of a run in which nobody asked for a sweep: a dozen sizes show the curve."""
_CPU_SMALLEST_BYTES, _CPU_LARGEST_BYTES = 1 << 10, 8 << 20
"""gloo over the host's network: its plateau begins below 8 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the user asked for; None where the hardware decides."""

    operations: tuple[str, ...] | None = None
    """Names of `OPERATIONS`; empty: no sweep at all."""
    begin_bytes: int | None = None
    end_bytes: int | None = None
    factor: int | None = None

    @property
    def is_explicit(self) -> bool:
        """Somebody asked for a sweep of a kind of their own."""
        return bool(self.operations) or self.begin_bytes is not None


def parse_choice(collectives: Sequence[str], span: str) -> Choice | None:
    """``--collectives all_reduce,alltoall`` (``all``, ``none``) and ``--sizes 8:8G:2``; None where neither was given.

    Raises `UsageError`.
    """
    if not collectives and not span:
        return None
    operations = _operations(collectives)
    begin, end, factor = _span(span) if span else (None, None, None)
    if operations == () and span:
        raise UsageError("--sizes is of no use with --collectives none; leave out one of them")
    return Choice(operations=operations, begin_bytes=begin, end_bytes=end, factor=factor)


def wanted(choice: Choice | None, *, has_gpus: bool) -> Wanted:
    """What is to be swept between nodes."""
    choice = choice or Choice()
    sparse = _FACTOR if choice.is_explicit else _SPARSE_FACTOR
    begin = SMALLEST_BYTES if has_gpus else _CPU_SMALLEST_BYTES
    end = LARGEST_BYTES if has_gpus else _CPU_LARGEST_BYTES
    return Wanted(
        operations=("all_reduce",) if choice.operations is None else choice.operations,
        begin_bytes=begin if choice.begin_bytes is None else choice.begin_bytes,
        end_bytes=end if choice.end_bytes is None else choice.end_bytes,
        factor=choice.factor or sparse,
        places=(False, True) if has_gpus or choice.is_explicit else (False,),
    )


def _operations(names: Sequence[str]) -> tuple[str, ...] | None:
    if not names:
        return None
    if list(names) == [_ALL]:
        return OPERATIONS
    if list(names) == [_NONE]:
        return ()
    for name in names:
        if name in (_ALL, _NONE):
            raise UsageError(f"--collectives: {name!r} stands alone; leave out the others")
        check_operation(name)
    return tuple(dict.fromkeys(names))


def _span(text: str) -> tuple[int, int, int]:
    """``BEGIN[:END[:FACTOR]]``, nccl-tests' ``-b -e -f``."""
    words = text.split(":")
    if len(words) > 3:
        raise UsageError(f"--sizes {text!r} has more than BEGIN:END:FACTOR; write for example 8:8G:2")
    begin = parse_size(words[0])
    end = parse_size(words[1]) if len(words) > 1 else begin
    factor = _FACTOR
    if len(words) == 3:
        if not words[2].isdecimal():
            raise UsageError(f"--sizes {text!r}: the factor {words[2]!r} is no whole number; write for example 8:8G:2")
        factor = int(words[2])
    sizes(begin, end, factor)
    return begin, end, factor
