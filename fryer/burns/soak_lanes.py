"""What the soak does at the same time, one thread a lane: products, copies from the host, and sums over all ranks.

Each lane runs until `Stage.over`, puts its records into `Stage.records`, and verifies what it did. Lanes share a device
and nothing else: each has its own queue on it.
"""

from dataclasses import dataclass, field
from functools import partial
from itertools import count
from math import inf, isnan
from queue import SimpleQueue
from threading import Event

import torch

from fryer.burns import Task
from fryer.burns.collective import Group, RankMissingError, fill_addends, joined, wrong_sums
from fryer.burns.operands import digest_into, show_digest
from fryer.burns.rates import Lane, measure
from fryer.burns.transfer import fill, verified
from fryer.devices import Device
from fryer.records import BYTES, FLOPS, Counted, Mismatch, Point, Problem, Record
from fryer.steady import SHORT_COUNT, steady
from watchdog.vocabulary.verdicts import Verdict

PRODUCTS, COPIES, SUMS = 0, 1, 2
"""Queues of the device."""
HEAT_SHARE = 0.3
"""At most this part of the soak heats with products alone."""
NUM_PAIRS = 4
COPY_BYTES = 256 << 20
SUM_BYTES = 256 << 20
"""Within 10 % of the plateau of an all_reduce on 8 H100s: 436 GB/s bus bandwidth, against 476 to 482 at 8 GiB."""
HOST_SUM_BYTES = 8 << 20
MOST_SUMS = 8
SUMS_SECONDS = 0.2
"""A batch of sums between two agreements is about this long: a stop waits for it."""
AGREE_PERIOD_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the lanes share."""

    device: Device
    task: Task
    interval_seconds: float
    latest_seconds: float
    """On the run's clock: when a soak whose ranks came in late must end."""
    records: SimpleQueue[Record] = field(default_factory=SimpleQueue)
    warm: Event = field(default_factory=Event)
    """The products of this device are steady, or have heated long enough."""
    hot: Event = field(default_factory=Event)
    """All ranks are warm: the other lanes begin."""
    over: Event = field(default_factory=Event)
    """Leave."""


def case_of(kind: str) -> str:
    """``h2d`` -> ``h2d (soak)``: never mixed up with the figure of the burn that does nothing else."""
    return f"{kind} (soak)"


class Products:
    """Products of a few pairs, each compared with the first product of its pair; heats, then is measured."""

    def __init__(self, stage: Stage, dtype: str) -> None:
        """Make the operands; raises `UnsupportedDtypeError`."""
        self._stage, self._dtype = stage, dtype
        device, seed = stage.device, stage.task.seed
        shape = device.real_shape(dtype)
        self.case = case_of(f"gemm {dtype}")
        self._pairs = [
            (
                device.operand(dtype, shape.m, shape.k, seed + 2 * pair),
                device.operand(dtype, shape.k, shape.n, seed + 2 * pair + 1),
            )
            for pair in range(NUM_PAIRS)
        ]
        self._outs = [device.product_buffer(dtype) for _ in range(2)]
        words = partial(torch.zeros, NUM_PAIRS, dtype=torch.int64, device=device.torch_device)
        self._first, self._slot, self._last_wrong, self._num_wrong = words(), words(), words(), words()
        self._num_queued = 0
        for pair in range(NUM_PAIRS):
            self._multiply(pair, self._first[pair])

    def run(self) -> None:
        """Heat until steady, then report until it is over."""
        device = self._stage.device
        heat: list[Point] = []
        heat_end = device.clock.now() + HEAT_SHARE * self._stage.task.seconds
        rates = measure(
            [Lane(device, PRODUCTS, self._queue)], inf, self._stage.over.is_set, self._stage.interval_seconds
        )
        hot_since = inf
        for rate in rates:
            point = Point(
                device=device.name,
                burn="soak",
                case=self.case,
                metric=FLOPS,
                at_seconds=rate.at_seconds,
                value=rate.value,
            )
            if not self._stage.warm.is_set():
                heat.append(point)
                if rate.at_seconds >= heat_end or (len(heat) >= SHORT_COUNT and steady(heat).from_seconds is not None):
                    self._stage.warm.set()
                    if self._stage.task.num_ranks == 1:
                        self._stage.hot.set()  # several ranks first agree that all are
            elif self._stage.hot.is_set():
                hot_since = min(hot_since, rate.at_seconds)
            if rate.since_seconds >= hot_since:  # an interval that lies wholly in the time when all lanes run
                self._stage.records.put(point)
            self._look()
        self._look()
        self._stage.records.put(
            Counted(
                device=device.name,
                burn="soak",
                case=self.case,
                what="products",
                count=self._num_queued * device.products_per_call(self._dtype),
            )
        )

    def _multiply(self, pair: int, slot: torch.Tensor) -> None:
        """Queue a product and its digest."""
        a, b = self._pairs[pair]
        out = self._outs[self._num_queued % len(self._outs)]
        self._stage.device.multiply(self._dtype, a, b, out)
        digest_into(out, slot)
        self._num_queued += 1

    def _queue(self) -> int:
        """Queue a product and its comparison; nothing is read, so the device never waits for us."""
        pair = self._num_queued % NUM_PAIRS
        self._multiply(pair, self._slot[pair])
        differs = torch.ne(self._slot[pair], self._first[pair])
        self._num_wrong[pair] += differs
        self._last_wrong[pair] = torch.where(differs, self._slot[pair], self._last_wrong[pair])
        device = self._stage.device
        return device.shape(self._dtype).flops * device.products_per_call(self._dtype)

    def _look(self) -> None:
        """Read what the comparisons found since the last look."""
        with self._stage.device.lane(PRODUCTS):
            for pair, num_wrong in enumerate(self._num_wrong.tolist()):
                if num_wrong:
                    self._report(pair, num_wrong)
                    self._num_wrong[pair] = 0

    def _report(self, pair: int, num_wrong: int) -> None:
        first, read = int(self._first[pair]), int(self._last_wrong[pair])
        self._multiply(pair, self._slot[pair])
        self._stage.records.put(
            Mismatch(
                device=self._stage.device.name,
                burn="soak",
                case=self.case,
                seed=self._stage.task.seed + 2 * pair,
                round=0,
                pair=pair,
                at_seconds=self._stage.device.clock.now(),
                index=None,
                num_wrong=num_wrong,
                expected=show_digest(first),
                read=show_digest(read),
                is_nan=False,
                reproduced=int(self._slot[pair]) != first,
                how="twin",
            )
        )


class Copies:
    """Copies from pinned host memory, over and over the same bytes."""

    def __init__(self, stage: Stage) -> None:
        """Make the buffers."""
        self._stage = stage
        num_bytes = COPY_BYTES // stage.device.scale // 8 * 8
        self._source = stage.device.host_buffer(num_bytes)
        self._destination = torch.zeros(num_bytes, dtype=torch.uint8, device=stage.device.torch_device)
        fill(self._source, stage.task.seed)

    def run(self) -> None:
        """Copy from when all are hot until it is over, then compare."""
        stage, device = self._stage, self._stage.device
        stage.hot.wait()
        rates = measure([Lane(device, COPIES, self._queue)], inf, stage.over.is_set, stage.interval_seconds)
        for rate in rates:
            stage.records.put(
                Point(
                    device=device.name,
                    burn="soak",
                    case=case_of("h2d"),
                    metric=BYTES,
                    at_seconds=rate.at_seconds,
                    value=rate.value,
                )
            )
        with device.lane(COPIES):
            for record in verified(device, "soak", case_of("h2d"), self._destination, stage.task, again=self._queue):
                stage.records.put(record)

    def _queue(self) -> int:
        self._stage.device.copy(self._source, self._destination)
        return self._source.nbytes * self._stage.device.scale


class Sums:
    """all_reduce over the ranks of the node; also keeps the ranks together: all get hot, and all leave, at once.

    The rate is bus bandwidth as nccl-tests defines it (PERFORMANCE.md, "AllReduce"): bytes of one buffer over the time,
    times 2(n-1)/n. Time is counted from when all ranks have agreed to begin a batch.
    """

    def __init__(self, stage: Stage) -> None:
        """Make the buffers; the ranks are joined in `run`."""
        self._stage = stage
        device = stage.device
        num_bytes = HOST_SUM_BYTES if device.host_is_device else SUM_BYTES // device.scale
        self._buffers = [
            torch.zeros(max(1, num_bytes // 4), dtype=torch.float32, device=device.torch_device)
            for _ in range(MOST_SUMS)
        ]
        self.case = case_of("all_reduce")
        self._num_verified_bytes = 0
        self._bytes, self._busy_seconds, self._since = 0, 0.0, device.clock.now()

    def run(self) -> None:
        """Join, keep step with the others until it is over for one of them, and report; ends all lanes."""
        stage, task = self._stage, self._stage.task
        try:
            with (
                joined(stage.device, rendezvous=task.rendezvous, rank=task.rank, num_ranks=task.num_ranks) as group,
                stage.device.lane(SUMS),
            ):
                group.sum_all(self._buffers[:1], stage.device.mark, at="the first sum of the soak")  # connects them
                self._keep_step(group, end_seconds=min(stage.device.clock.now() + task.seconds, stage.latest_seconds))
        except RankMissingError as why:
            stage.records.put(
                Problem(
                    device=stage.device.name,
                    burn="soak",
                    case=self.case,
                    verdict=Verdict.ERROR,
                    code="collective_timeout",
                    message=str(why),
                )
            )
        finally:
            stage.records.put(
                Counted(
                    device=stage.device.name, burn="soak", case=self.case, what="bytes", count=self._num_verified_bytes
                )
            )
            stage.over.set()
            stage.hot.set()  # so that the copies don't wait for it

    def _keep_step(self, group: Group, end_seconds: float) -> None:
        """Agree, sum, verify, until one rank wants to leave; raises `RankMissingError`."""
        stage, clock = self._stage, self._stage.device.clock
        num_sums, took = 1, 0.0
        for step in count(1):
            wants_out = stage.task.stop() or stage.over.is_set() or clock.now() >= end_seconds
            out, cold, took = group.agree([wants_out, not stage.warm.is_set(), took], at=f"step {step} of the soak")
            if out:
                return
            if cold:
                stage.over.wait(AGREE_PERIOD_SECONDS)
                continue
            stage.hot.set()
            num_sums = next_count(num_sums, took)
            took = self._sum(group, num_sums, at=f"the sums of step {step} of the soak")
            self._account(num_sums, took, group.num_ranks)

    def _sum(self, group: Group, num_sums: int, at: str) -> float:
        """One batch of sums, each verified; returns how many seconds the batch took."""
        device, buffers = self._stage.device, self._buffers[:num_sums]
        for buffer in buffers:
            fill_addends(buffer, group.rank)
        begin = device.wait(device.mark())
        done = device.wait(group.sum_all(buffers, device.mark, at))
        for number, buffer in enumerate(buffers):
            wrong = wrong_sums(buffer, group.num_ranks)
            if wrong:
                index, expected, read, num_wrong = wrong
                self._stage.records.put(
                    Mismatch(
                        device=device.name,
                        burn="soak",
                        case=self.case,
                        seed=self._stage.task.seed,
                        round=0,
                        pair=number,
                        at_seconds=done,
                        index=index,
                        num_wrong=num_wrong,
                        expected=f"{expected:g}",
                        read=f"{read:g}",
                        is_nan=isnan(read),
                        reproduced=False,
                        how="pattern",
                    )
                )
            self._num_verified_bytes += buffer.nbytes * device.scale
        return done - begin

    def _account(self, num_sums: int, took: float, num_ranks: int) -> None:
        """Add a batch up; a point for about each interval. Refilling and verifying don't count as time."""
        now = self._stage.device.clock.now()
        self._bytes += num_sums * self._buffers[0].nbytes * self._stage.device.scale
        self._busy_seconds += took
        if now - self._since < self._stage.interval_seconds or not self._busy_seconds:
            return
        bus_bytes = self._bytes * 2 * (num_ranks - 1) / num_ranks
        self._stage.records.put(
            Point(
                device=self._stage.device.name,
                burn="soak",
                case=self.case,
                metric=BYTES,
                at_seconds=now,
                value=bus_bytes / self._busy_seconds,
            )
        )
        self._bytes, self._busy_seconds, self._since = 0, 0.0, now


def next_count(num_sums: int, took_seconds: float) -> int:
    """How many sums the next batch has, from what all ranks agree that the last one took: the same on each of them."""
    if not took_seconds:
        return 1
    return max(1, int(min(MOST_SUMS, num_sums * SUMS_SECONDS / took_seconds)))
