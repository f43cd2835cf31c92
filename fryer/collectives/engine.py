"""Measure collectives among the ranks of a group: times, bandwidths, wrong elements. One rank's side of it.

It starts and joins nothing, and it sets no deadline for a rank that does not come: `fryer.collectives.collect` does.
Times and counts are agreed over `control`, a gloo group on the host's memory, so that no agreement rides on what is
measured.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch
import torch.distributed as dist

from fryer.collectives.busbw import ONLY_OUT_OF_PLACE, bandwidths, check_operation, element_bytes, extent, size_bytes
from fryer.collectives.cases import CollectiveCase, CollectiveRow
from fryer.collectives.exchange import COPIED_FIRST, Exchange
from fryer.collectives.inputs import STALE, count_wrong, fill_send
from watchdog.vocabulary.errors import UsageError

DTYPES = {"float": torch.float32, "half": torch.float16, "bfloat16": torch.bfloat16, "int32": torch.int32}
_TIMED_SHARE = 0.6
"""Of a measurement's time, what its timed iterations may take; warm-up takes at most a third of that."""
_ESTIMATES = 3
"""Iterations that are timed alone at most, to find out how many fit."""
_LEAST_SECONDS = 1e-9
_MOST_AT_ONCE = 1e6
"""Bounds the memory for the times of single iterations."""
_WORTHWHILE = 0.25
"""A further go has at least so many iterations of those done."""
_ALIGNMENT_BYTES = 512


def _ignore(_: str) -> None:
    """Nobody wants to know."""


def _say_nothing(_: CollectiveCase) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """One rank among the others, and what it needs to measure."""

    rank: int
    num_ranks: int
    exchange: Exchange
    control: dist.ProcessGroup
    device: torch.device
    deadline: float = float("inf")
    """`time.monotonic` by which all measurements are to be done; rank 0's counts."""
    arrive: Callable[[str], None] = field(default=_ignore)
    """Told at each step what comes next, before this rank waits for others."""
    transport: Callable[[CollectiveCase], str] = field(default=_say_nothing)
    """Asked after each measurement what carried it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Buffers:
    """What one case sends from and receives into; flat views, the same one where it works in place."""

    send: torch.Tensor
    receive: torch.Tensor


def measure(ranks: Ranks, cases: Sequence[CollectiveCase], repeats: int) -> Iterator[CollectiveRow]:
    """All `cases`, `repeats` times over. Every rank must iterate it alike; every rank gets every row.

    A case with too little time left is measured with fewer iterations, one at least: the row's case says how many.
    Raises `UsageError` for a case that can't be measured, on all ranks, before anything is sent; torch's RuntimeError
    where a peer is lost.
    """
    for case in cases:
        check_case(case, ranks.num_ranks)
    arena = _Arena(ranks, cases)
    left = len(cases) * repeats
    for repeat in range(repeats):
        for case in cases:
            yield _measure_one(ranks, case, arena, repeat=repeat, left=left)
            left -= 1


def check_case(case: CollectiveCase, num_ranks: int) -> None:
    """Raise `UsageError` for a case that `num_ranks` ranks can't measure."""
    check_operation(case.operation)
    element_bytes(case.dtype)
    if case.is_in_place and case.operation in ONLY_OUT_OF_PLACE:
        raise UsageError(f"{case.operation} would overwrite what it has still to send: measure it out of place")
    if case.operation == "hypercube" and num_ranks & (num_ranks - 1):
        raise UsageError(f"hypercube needs 2, 4, 8, 16 … ranks, and there are {num_ranks}")
    if extent(case, num_ranks).count == 0:
        raise UsageError(
            f"{case.operation} of {case.size_bytes} B among {num_ranks} ranks is empty: "
            f"it needs 16 B for each rank, so at least {16 * num_ranks}"
        )
    if case.iterations < 1:
        raise UsageError(f"{case.operation} needs at least one iteration, and is to have {case.iterations}")


class _Arena:
    """Memory for the largest case: two buffers, taken once, so that no case waits for an allocation."""

    def __init__(self, ranks: Ranks, cases: Sequence[CollectiveCase]) -> None:
        largest = max((size_bytes(case, ranks.num_ranks) for case in cases), default=0)
        room = -(-largest // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
        self._ranks = ranks
        self._first = torch.empty(room, dtype=torch.uint8, device=ranks.device)
        is_alone = all(case.is_in_place for case in cases)
        self._second = torch.empty(0 if is_alone else room, dtype=torch.uint8, device=ranks.device)
        self.salt = 0

    def buffers(self, case: CollectiveCase) -> _Buffers:
        """Views of the right length; in place, the smaller one is this rank's part of the larger one."""
        elements = extent(case, self._ranks.num_ranks)
        width = element_bytes(case.dtype)
        whole = self._first[: max(elements.send, elements.receive) * width].view(DTYPES[case.dtype])
        if not case.is_in_place:
            other = self._second[: elements.receive * width].view(DTYPES[case.dtype])
            return _Buffers(send=whole[: elements.send], receive=other)
        start = self._ranks.rank * elements.count
        own = whole[start : start + elements.count]
        return _Buffers(
            send=own if elements.send < elements.receive else whole,
            receive=own if elements.receive < elements.send else whole,
        )

    def load(self, case: CollectiveCase, buffers: _Buffers) -> None:
        """New contents to send; what is received is filled with what nobody sends."""
        self.salt += 1
        if not case.is_in_place or buffers.send.numel() < buffers.receive.numel():
            buffers.receive.fill_(STALE)
        fill_send(buffers.send, case.operation, self._ranks.rank, self._ranks.num_ranks, self.salt)
        if case.operation in COPIED_FIRST and not case.is_in_place:
            buffers.receive.copy_(buffers.send)


def _measure_one(ranks: Ranks, case: CollectiveCase, arena: _Arena, *, repeat: int, left: int) -> CollectiveRow:
    size = size_bytes(case, ranks.num_ranks)
    ranks.arrive(label(case))
    buffers = arena.buffers(case)
    arena.load(case, buffers)
    warm = _warm_up(ranks, case, buffers, left)
    timed = _time(ranks, warm, buffers)
    ranks.arrive(f"{label(case)}: check")
    arena.load(case, buffers)
    _agree(ranks, [0.0])
    ranks.exchange.run(case.operation, buffers.send, buffers.receive)
    count = extent(case, ranks.num_ranks).count
    wrong = count_wrong(buffers.receive, case.operation, ranks.rank, ranks.num_ranks, count, arena.salt)
    by_rank = _gather(ranks, wrong)
    algbw, busbw = bandwidths(case.operation, size, ranks.num_ranks, timed.seconds)
    return CollectiveRow(
        case=replace(case, warmup=warm.iterations, iterations=timed.iterations),
        repeat=repeat,
        num_ranks=ranks.num_ranks,
        seconds=timed.seconds,
        algbw_bytes_per_second=algbw,
        busbw_bytes_per_second=busbw,
        num_wrong=sum(by_rank),
        slowest_seconds=timed.slowest_seconds,
        wrong_ranks=tuple(rank for rank, number in enumerate(by_rank) if number),
        transport=ranks.transport(case),
    )


def label(case: CollectiveCase) -> str:
    """What is measured, for people: ``all_reduce 64 MiB bfloat16``."""
    value, unit = float(case.size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{case.operation} {value:g} {unit} {case.dtype}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Warm:
    """What is known after the first iterations, on all ranks alike."""

    case: CollectiveCase
    iterations: int
    """That were run."""
    fits: int
    """Iterations that the time for this measurement holds, by what one took; at least one."""
    seconds: float
    """For the timed iterations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timed:
    iterations: int
    seconds: float
    """Of one, the slowest rank's mean."""
    slowest_seconds: float


def _warm_up(ranks: Ranks, case: CollectiveCase, buffers: _Buffers, left: int) -> _Warm:
    """Run the first iterations, and see how many fit into the share of the time that is left.

    The first iteration connects ranks and says little of how long one takes: where it leaves no time for all, two more
    are asked.
    """
    shortest, seconds, fits, ran = float("inf"), 0.0, 0.0, 0
    while ran < _ESTIMATES and fits < case.iterations + case.warmup:
        took, over = _agree(ranks, [_once(ranks, case, buffers), _seconds_over(ranks)])
        shortest, ran = min(shortest, took), ran + 1
        seconds = _TIMED_SHARE * max(0.0, -over) / left
        fits = seconds / max(shortest, _LEAST_SECONDS)
    more = max(0, int(min(case.warmup, fits / 3)) - ran)
    for _ in range(more):
        ranks.exchange.run(case.operation, buffers.send, buffers.receive)
    _finish(ranks)
    return _Warm(case=case, iterations=ran + more, fits=max(1, int(min(case.iterations, fits))), seconds=seconds)


def _seconds_over(ranks: Ranks) -> float:
    """Seconds since the deadline, so mostly negative; rank 0's clock counts for all."""
    return time.monotonic() - ranks.deadline if ranks.rank == 0 else float("-inf")


def _once(ranks: Ranks, case: CollectiveCase, buffers: _Buffers) -> float:
    start = time.perf_counter()
    ranks.exchange.run(case.operation, buffers.send, buffers.receive)
    _finish(ranks)
    return time.perf_counter() - start


def _time(ranks: Ranks, warm: _Warm, buffers: _Buffers) -> _Timed:
    """All iterations in one go. Where the time seemed too short for all, more goes follow if it was not."""
    total, slowest, done, count, left = 0.0, 0.0, 0, warm.fits, warm.seconds
    while True:
        _agree(ranks, [0.0])
        spans = _spans(ranks, warm.case, buffers, count)
        total, done = total + math.fsum(spans), done + count
        took, longest, mean = _agree(ranks, [math.fsum(spans), max(spans), total / done])
        slowest, left = max(slowest, longest), left - took
        count = min(warm.case.iterations - done, int(min(left / max(took / count, _LEAST_SECONDS), _MOST_AT_ONCE)))
        if count < max(1, done * _WORTHWHILE):
            return _Timed(iterations=done, seconds=mean, slowest_seconds=slowest)


def _spans(ranks: Ranks, case: CollectiveCase, buffers: _Buffers, count: int) -> list[float]:
    """Seconds of each of `count` iterations on this rank, which follow each other without a pause."""
    run, operation, send, receive = ranks.exchange.run, case.operation, buffers.send, buffers.receive
    if ranks.device.type == "cuda":
        events = [_event() for _ in range(count + 1)]
        events[0].record()
        for event in events[1:]:
            run(operation, send, receive)
            event.record()
        _finish(ranks)
        return [before.elapsed_time(after) * 1e-3 for before, after in pairwise(events)]
    stamps = [time.perf_counter()]
    for _ in range(count):
        run(operation, send, receive)
        stamps.append(time.perf_counter())
    return [after - before for before, after in pairwise(stamps)]


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch does not type it


def _finish(ranks: Ranks) -> None:
    if ranks.device.type == "cuda":
        torch.cuda.synchronize(ranks.device)


def _agree(ranks: Ranks, values: list[float]) -> list[float]:
    """The maximum of each value over all ranks; also a barrier."""
    shared = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(shared, op=dist.ReduceOp.MAX, group=ranks.control)
    return [float(value) for value in shared]


def _gather(ranks: Ranks, number: int) -> list[int]:
    """The number of each rank."""
    shared = torch.zeros(ranks.num_ranks, dtype=torch.int64)
    shared[ranks.rank] = number
    dist.all_reduce(shared, group=ranks.control)
    return [int(value) for value in shared]
