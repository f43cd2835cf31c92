"""Doubles of a device: real bytes and real products of the CPU device, on a timeline of our own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from fryer.burns import Task
from fryer.devices import Mark, Shape
from fryer.devices.cpu import CpuDevice


class Timeline:
    """A clock that only waiting and sleeping move."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class LinkedDevice(CpuDevice):
    """A device behind a link: each byte of a copy or a triad's array takes a set time in the lane that it is queued in.

    `spoil` is called with each destination after the copy, and may change it.
    """

    host_is_device = False

    def __init__(
        self,
        name: str,
        clock: Timeline,
        bytes_per_second: float = 1e9,
        scale: int = 1,
        spoil: Callable[[torch.Tensor], None] | None = None,
    ) -> None:
        super().__init__(name, clock)
        self.timeline = clock
        self.bytes_per_second = bytes_per_second
        self.scale = scale
        self.spoil = spoil
        self.lane_index = 0
        self.done_at: defaultdict[int, float] = defaultdict(float)

    def real_shape(self, dtype: str) -> Shape:
        return Shape(m=64, n=64, k=64)

    def free_bytes(self) -> int:
        return 1 << 20

    def copy(self, source: torch.Tensor, destination: torch.Tensor, *, to_peer: bool = False) -> None:
        destination.copy_(source)
        if self.spoil:
            self.spoil(destination)
        self.spend(destination.nbytes)

    def triad(self, b: torch.Tensor, c: torch.Tensor, out: torch.Tensor) -> None:
        super().triad(b, c, out)
        if self.spoil:
            self.spoil(out.view(torch.uint8))
        self.spend(out.nbytes)

    def spend(self, num_bytes: int) -> None:
        begin = max(self.done_at[self.lane_index], self.timeline.seconds)
        self.done_at[self.lane_index] = begin + num_bytes * self.scale / self.bytes_per_second

    @contextmanager
    def lane(self, index: int) -> Iterator[None]:
        before, self.lane_index = self.lane_index, index
        yield
        self.lane_index = before

    def mark(self) -> Mark:
        return Mark(max(self.done_at[self.lane_index], self.timeline.seconds))

    def wait(self, mark: Mark) -> float:
        assert isinstance(mark.handle, float)
        self.timeline.seconds = max(self.timeline.seconds, mark.handle)
        return mark.handle


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


@pytest.fixture
def linked_device() -> type[LinkedDevice]:
    return LinkedDevice


@pytest.fixture
def make_task() -> Callable[..., Task]:
    def make(seconds: float = 4.0, stop: Callable[[], bool] = lambda: False, **more: object) -> Task:
        return Task(**{"seconds": seconds, "seed": 7, "dtypes": (), "memory_ratio": 0.5, "stop": stop, **more})

    return make
