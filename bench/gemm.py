"""The gemm burn, verification on, against a bare `torch.matmul` loop of the same shape in the same process.

Segments of both take turns, so that a machine whose speed drifts slows both; the ratio is taken pair by pair. Two
ratios: of the products alone, which is what a burn reports, and with everything that verifies them, which the budget is
about. Processors always; the first GPU too where there is one.
"""

import resource
import signal
import subprocess
import sys
import time
from collections import deque
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from bench.show import show
from fryer.burns import BURNS, Task
from fryer.devices import Device, Mark
from fryer.devices.cpu import CpuDevice
from fryer.devices.cuda import CudaDevice
from fryer.records import Counted, Point
from watchdog.clock import RunClock

SEGMENT_SECONDS = 8.0
PAIRS = 7
AHEAD = 4
"""Products queued ahead of the one that runs, so that a GPU never waits for the host."""


def main() -> None:
    """Print ratios, peak memory and the time to stop."""
    for device, dtypes in devices():
        for dtype in dtypes:
            pairs = [(segment(device, dtype), bare(device, dtype)) for _ in range(PAIRS + 1)][1:]
            case = f"gemm {dtype} {device.shape(dtype)} on {device.name}"
            show(f"{case}: products / bare loop", [alone / loop for (alone, _), loop in pairs], "floors compare")
            show(f"{case}: burn / bare loop", [burn / loop for (_, burn), loop in pairs], "budget >= 0.98")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'peak memory of this process':<58} {peak:9.0f} MiB")
    show("Ctrl-C to exit, seconds", [stop_seconds() for _ in range(3)], "budget < 2")


def devices() -> list[tuple[Device, tuple[str, ...]]]:
    """What is here, opened, with the formats that are compared."""
    found: list[tuple[Device, tuple[str, ...]]] = [(CpuDevice("cpu0", RunClock.start()), ("bf16", "fp32"))]
    if torch.cuda.is_available():
        found.append((CudaDevice("gpu0", RunClock.start(), 0), ("bf16", "fp8", "int8")))
    for device, _ in found:
        device.open()
    return found


def segment(device: Device, dtype: str) -> tuple[float, float]:
    """FLOP/s of the burn, from its first full interval to its last: of the products alone, and all in all."""
    task = Task(
        seconds=SEGMENT_SECONDS, seed=time.monotonic_ns(), dtypes=(dtype,), memory_ratio=0.25, stop=lambda: False
    )
    records = list(BURNS["gemm"].run([device], task))
    points = [record for record in records if isinstance(record, Point)]
    assert any(isinstance(record, Counted) for record in records)
    lengths = [later.at_seconds - earlier.at_seconds for earlier, later in pairwise(points)]
    busy = [point.busy_ratio * length for point, length in zip(points[1:], lengths, strict=True)]
    flops = sum(point.value * seconds for point, seconds in zip(points[1:], busy, strict=True))
    return flops / sum(busy), flops / sum(lengths)


def bare(device: Device, dtype: str) -> float:
    """FLOP/s of nothing but products into one result."""
    shape = device.shape(dtype)
    a, b = device.operand(dtype, shape.m, shape.k, 1), device.operand(dtype, shape.k, shape.n, 2)
    out = device.product_buffer(dtype)
    flying: deque[Mark] = deque()
    start = now = device.wait(device.mark())
    count = 0
    while now - start < SEGMENT_SECONDS:
        device.multiply(dtype, a, b, out)
        flying.append(device.mark())
        if len(flying) > AHEAD:
            now, count = device.wait(flying.popleft()), count + 1
    device.wait(device.mark())
    return count * shape.flops / (now - start)


def stop_seconds() -> float:
    """From SIGINT in the middle of a burn to the end of the command, its verdict written."""
    with TemporaryDirectory() as directory:
        fryer = str(Path(sys.executable).with_name("fryer"))
        process = subprocess.Popen(
            [
                fryer,
                "run",
                "--nodes",
                "localhost",
                "--duration",
                "60s",
                "--burns",
                "gemm",
                "--json",
                "--state",
                directory,
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if '"type": "point"' in line:
                break
        start = time.perf_counter()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        return time.perf_counter() - start
