"""Which cases a sweep has: sizes as nccl-tests takes them, cut to the memory and the time there is. Pure.

Nothing is cut in silence: `Sweep.left_out` says what, and why.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fryer.collectives.busbw import (
    ONLY_OUT_OF_PLACE,
    busbw_factor,
    check_operation,
    element_bytes,
    extent,
    size_bytes,
)
from fryer.collectives.cases import CollectiveCase
from watchdog.vocabulary.errors import UsageError

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMG]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
SMALLEST_BYTES, LARGEST_BYTES = 8, 8 << 30
LEAST_ITERATIONS, LEAST_WARMUP = 3, 1
"""Fewer say nothing of the spread."""
_MOST_SIZES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody asked for: ``-b -e -f -n -w`` of nccl-tests, for several operations and formats."""

    operations: tuple[str, ...] = ("all_reduce",)
    begin_bytes: int = SMALLEST_BYTES
    end_bytes: int = LARGEST_BYTES
    factor: int = 2
    dtypes: tuple[str, ...] = ("float",)
    places: tuple[bool, ...] = (False, True)
    """Out of place, in place."""
    algorithms: tuple[str | None, ...] = (None,)
    warmup: int = 5
    iterations: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a sweep may take, and what it is estimated with."""

    num_ranks: int
    memory_bytes: int
    """Of one rank."""
    seconds: float
    repeats: int = 1
    busbw_bytes_per_second: float
    """That is reckoned with at large sizes: the expected figure, or a first measurement."""
    latency_seconds: float = 50e-6
    """That is reckoned with for one operation at small sizes: 13 to 60 us are published for one node to two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """The cases, smallest first, and what was wanted and is not among them."""

    cases: tuple[CollectiveCase, ...]
    left_out: tuple[str, ...]
    """One sentence each."""
    seconds: float
    """Estimated, of all repeats."""


def parse_size(text: str) -> int:
    """Bytes in ``8``, ``1K``, ``64MiB``, ``0.5g``; K, M and G are powers of 1024, as in nccl-tests.

    Raises `UsageError`.
    """
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise UsageError(f"{text!r} is no size; write for example 8, 64K, 512M or 8G")
    size = float(found[1]) * _UNITS[found[2].lower()]
    if size < 1 or size != int(size):
        raise UsageError(f"{text!r} is {size:g} bytes; a size is a whole number of bytes, and at least one")
    return int(size)


def sizes(begin_bytes: int, end_bytes: int, factor: int) -> tuple[int, ...]:
    """From `begin_bytes` to at most `end_bytes`, each `factor` times the one before; raises `UsageError`."""
    if begin_bytes < 1:
        raise UsageError(f"a sweep begins at {begin_bytes} B; begin at 1 B or more, nccl-tests' usual is 8")
    if end_bytes < begin_bytes:
        raise UsageError(f"a sweep from {begin_bytes} B to {end_bytes} B has no size; end where it begins, or above")
    if factor < 2:
        raise UsageError(f"a sweep by factor {factor} does not get anywhere; give 2 or more")
    found = [begin_bytes]
    while found[-1] * factor <= end_bytes and len(found) < _MOST_SIZES:
        found.append(found[-1] * factor)
    return tuple(found)


def plan(wanted: Wanted, room: Room) -> Sweep:
    """The cases of `wanted` that fit into `room`.

    Sizes that memory does not hold are left out. If time is short, there are fewer iterations; if that is not enough,
    every second size is left out, but for the smallest and the largest: the plateau is what is judged. Raises
    `UsageError` where nothing is left.
    """
    left_out: list[str] = []
    cases = _possible(wanted, room, left_out)
    if not cases:
        raise UsageError(f"nothing of the sweep can be measured: {'; '.join(left_out)}")
    fitted = _fewer_iterations(cases, room, left_out)
    while estimate(fitted, room) > room.seconds:
        thinner = _fewer_sizes(fitted)
        if len(thinner) == len(fitted):
            left_out.append(
                f"no less can be measured than takes about {estimate(fitted, room):.0f} s, and there are "
                f"{room.seconds:.0f} s"
            )
            break
        fitted = thinner
    if gone := len(cases) - len(fitted):
        left_out.append(f"{gone} of {len(cases)} cases are left out for want of time: sizes between")
    return Sweep(cases=fitted, left_out=tuple(left_out), seconds=estimate(fitted, room))


def estimate(cases: Sequence[CollectiveCase], room: Room) -> float:
    """Seconds that all repeats of `cases` take, about: (latency + bytes / rate) of each iteration and of the check."""
    return room.repeats * math.fsum(_seconds_of(case, room) for case in cases)


def _seconds_of(case: CollectiveCase, room: Room) -> float:
    moved = size_bytes(case, room.num_ranks) * busbw_factor(case.operation, room.num_ranks)
    once = room.latency_seconds + moved / room.busbw_bytes_per_second
    return (case.warmup + case.iterations + 1) * once


def _possible(wanted: Wanted, room: Room, left_out: list[str]) -> tuple[CollectiveCase, ...]:
    for operation in wanted.operations:
        check_operation(operation)
    for dtype in wanted.dtypes:
        element_bytes(dtype)
    steps = sizes(wanted.begin_bytes, wanted.end_bytes, wanted.factor)
    buffers = 2 if False in wanted.places else 1
    held = [size for size in steps if size * buffers <= room.memory_bytes]
    if len(held) < len(steps):
        left_out.append(
            f"sizes from {steps[len(held)]} B up: {buffers} buffers do not fit into the {room.memory_bytes} B of a rank"
        )
    cases = []
    for operation in wanted.operations:
        if operation == "hypercube" and room.num_ranks & (room.num_ranks - 1):
            left_out.append(f"hypercube: {room.num_ranks} ranks are no power of two")
            continue
        cases += [case for case in _of_operation(operation, held, wanted) if extent(case, room.num_ranks).count]
    return tuple(cases)


def _of_operation(operation: str, held: Sequence[int], wanted: Wanted) -> list[CollectiveCase]:
    return [
        CollectiveCase(
            operation=operation,
            size_bytes=size,
            dtype=dtype,
            is_in_place=is_in_place,
            algorithm=algorithm,
            warmup=wanted.warmup,
            iterations=wanted.iterations,
        )
        for algorithm in wanted.algorithms
        for dtype in wanted.dtypes
        for size in held
        for is_in_place in wanted.places
        if not (is_in_place and operation in ONLY_OUT_OF_PLACE)
    ]


def _fewer_iterations(cases: tuple[CollectiveCase, ...], room: Room, left_out: list[str]) -> tuple[CollectiveCase, ...]:
    """Each case gets an equal share of the time; those that need more have fewer iterations."""
    if estimate(cases, room) <= room.seconds:
        return cases
    share = room.seconds / room.repeats / len(cases)
    fitted = tuple(_fit(case, share, room) for case in cases)
    cut = [case for case, before in zip(fitted, cases, strict=True) if case != before]
    if cut:
        fewest = min(case.iterations for case in cut)
        left_out.append(f"{len(cut)} of {len(cases)} cases have fewer iterations for want of time, down to {fewest}")
    return fitted


def _fit(case: CollectiveCase, share_seconds: float, room: Room) -> CollectiveCase:
    ratio = share_seconds / _seconds_of(case, room)
    if ratio >= 1:
        return case
    return replace(
        case,
        iterations=min(case.iterations, max(LEAST_ITERATIONS, int(case.iterations * ratio))),
        warmup=min(case.warmup, max(LEAST_WARMUP, int(case.warmup * ratio))),
    )


def _fewer_sizes(cases: tuple[CollectiveCase, ...]) -> tuple[CollectiveCase, ...]:
    """Without every second size, but with the smallest and the largest."""
    steps = sorted({case.size_bytes for case in cases})
    kept = {steps[0], *steps[::-2]}
    return tuple(case for case in cases if case.size_bytes in kept)
