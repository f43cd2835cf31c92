"""What only a real GPU shows of `CudaDevice`: memory that comes back, and copies of a pair that overlap."""

from collections.abc import Iterator
from itertools import groupby
from statistics import median

import pytest
import torch

from fryer.burns import BURNS, Task
from fryer.devices.cuda import CudaDevice
from fryer.records import Point
from watchdog.clock import RunClock

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]


def make_device(ordinal: int) -> CudaDevice:
    device = CudaDevice(f"gpu{ordinal}", RunClock.start(), ordinal)
    device.open()
    return device


def rates(points: Iterator[Point]) -> dict[str, float]:
    by_case = groupby(points, key=lambda point: f"{point.device} {point.case}")
    return {case: median(point.value for point in series) for case, series in by_case}


def test_memory_of_dropped_tensors_is_free_again() -> None:
    device = make_device(0)
    before = device.free_bytes()
    held = torch.empty(before // 2, dtype=torch.uint8, device=device.torch_device)
    assert device.free_bytes() <= before - held.nbytes
    del held
    assert device.free_bytes() >= before * 0.99


def test_a_product_is_timed_apart_from_its_digest() -> None:
    device = make_device(0)
    task = Task(seconds=6.0, seed=1, dtypes=("bf16",), memory_ratio=0.5, stop=lambda: False)
    points = [record for record in BURNS["gemm"].run([device], task) if isinstance(record, Point)]
    assert len(points) >= 5
    assert all(0.5 < point.busy_ratio < 1.0 for point in points)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device has no peer")
def test_both_directions_of_a_pair_overlap() -> None:
    devices = [make_device(0), make_device(1)]
    task = Task(seconds=6.0, seed=1, dtypes=(), memory_ratio=0.5, stop=lambda: False)
    found = rates(record for record in BURNS["p2p"].run(devices, task) if isinstance(record, Point))
    assert found["gpu0 both gpu1"] > 1.5 * max(found["gpu0 to gpu1"], found["gpu1 to gpu0"])
