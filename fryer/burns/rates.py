"""Repeats queued work and says how fast it was completed. It knows neither what the work is nor whether it was right.

Work is queued in batches of about `BATCH_SECONDS`, one batch ahead of the one that is running: the device never waits
for the host, and a stop waits for no more than two batches.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fryer.devices import Device, Mark

BATCH_SECONDS = 0.05
"""Long against the cost of a mark (microseconds), short against a stop (seconds)."""
BATCHES_IN_FLIGHT = 2
POINT_SECONDS = 1.0
SHORT_INTERVALS = 6
"""A case that lasts less than this many `POINT_SECONDS` is cut into this many shorter intervals. The first goes to the
warm-up, and a steady state needs three."""
_LARGEST_BATCH = 1 << 16


@dataclass(frozen=True, slots=True)
class Lane:
    """Work that one queue of one device repeats."""

    device: Device
    index: int
    """Which queue."""
    queue: Callable[[], int]
    """Queues one piece of work; returns how much of it is reported: bytes, or floating-point operations."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Work completed in one interval."""

    since_seconds: float
    """Beginning of the interval on the run's clock."""
    at_seconds: float
    """End of the interval on the run's clock."""
    value: float
    """Work a second, all lanes together."""


@dataclass(frozen=True, slots=True)
class _Batch:
    amount: int
    marks: tuple[tuple[Device, Mark], ...]

    def wait(self) -> float:
        """When the last lane had done it."""
        return max(device.wait(mark) for device, mark in self.marks)


def measure(
    lanes: Sequence[Lane], seconds: float, stop: Callable[[], bool], interval_seconds: float | None = None
) -> Iterator[Rate]:
    """Repeat the work of all lanes at the same time for `seconds` of the run's clock; yields a rate about each second.

    The lanes repeat their work equally often, so several move at the pace of the slowest. What finds out how long a
    batch must be also warms up, and is not reported. A stop ends it within a few batches, without a rate for the
    interval that was cut short; what ran its time gives one rate at least. `interval_seconds` is by default a second,
    or less in a short time.
    """
    clock = lanes[0].device.clock
    end = clock.now() + seconds
    interval = interval_seconds or min(POINT_SECONDS, seconds / SHORT_INTERVALS)
    per_batch = _calibrate(lanes, min(BATCH_SECONDS, interval / 4), stop)
    flying: deque[_Batch] = deque()
    begin, done, amount, num_rates = _idle_since(lanes), 0.0, 0, 0
    while not stop():
        while len(flying) < BATCHES_IN_FLIGHT:
            flying.append(_queue(lanes, per_batch))
        batch = flying.popleft()
        done = batch.wait()
        amount += batch.amount
        if done - begin >= interval or (done >= end and not num_rates and done > begin):
            yield Rate(since_seconds=begin, at_seconds=done, value=amount / (done - begin))
            begin, amount, num_rates = done, 0, num_rates + 1
        if done >= end and num_rates:
            break
    for batch in flying:
        batch.wait()


def _queue(lanes: Sequence[Lane], times: int) -> _Batch:
    """Queue the work of each lane `times` times, the lanes in turns so that they start together."""
    amount = 0
    for _ in range(times):
        for lane in lanes:
            with lane.device.lane(lane.index):
                amount += lane.queue()
    return _Batch(amount, _mark(lanes))


def _mark(lanes: Sequence[Lane]) -> tuple[tuple[Device, Mark], ...]:
    marks = []
    for lane in lanes:
        with lane.device.lane(lane.index):
            marks.append((lane.device, lane.device.mark()))
    return tuple(marks)


def _idle_since(lanes: Sequence[Lane]) -> float:
    return _Batch(0, _mark(lanes)).wait()


def _calibrate(lanes: Sequence[Lane], batch_seconds: float, stop: Callable[[], bool]) -> int:
    """How often the work must be repeated to take `batch_seconds`."""
    times = 1
    _queue(lanes, times).wait()
    while not stop():
        begin = _idle_since(lanes)
        took = _queue(lanes, times).wait() - begin
        if took >= batch_seconds / 2 or times >= _LARGEST_BATCH:
            return times
        times *= 2
    return times
