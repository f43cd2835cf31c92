"""The gemm burn, verification on, against a bare `torch.matmul` loop of the same shape in the same process.

Segments of both take turns, so that a machine whose speed drifts slows both; the ratio is taken pair by pair.
"""

import resource
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from bench.show import show
from fryer.burns import BURNS, Task
from fryer.burns.operands import RESULT
from fryer.devices.cpu import CpuDevice, product
from fryer.records import Counted, Point
from watchdog.clock import RunClock

SEGMENT_SECONDS = 8.0
PAIRS = 7


def main() -> None:
    """Print ratio, peak memory and the time to stop."""
    device = CpuDevice("cpu0", RunClock.start())
    device.open()
    for dtype in ("bf16", "fp32"):
        segment(device, dtype)
        ratios = [segment(device, dtype) / bare(device, dtype) for _ in range(PAIRS)]
        show(f"gemm {dtype} {device.shape(dtype)}: burn / bare torch.matmul loop", ratios, "budget >= 0.98")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'peak memory of this process':<58} {peak:9.0f} MiB")
    show("Ctrl-C to exit, seconds", [stop_seconds() for _ in range(3)], "budget < 2")


def segment(device: CpuDevice, dtype: str) -> float:
    """FLOP/s of the burn, from its first full interval to its last: digests, twins, new operands and all."""
    task = Task(
        seconds=SEGMENT_SECONDS, seed=time.monotonic_ns(), dtypes=(dtype,), memory_ratio=0.25, stop=lambda: False
    )
    records = list(BURNS["gemm"].run([device], task))
    points = [record for record in records if isinstance(record, Point)]
    assert any(isinstance(record, Counted) for record in records)
    lengths = [later.at_seconds - earlier.at_seconds for earlier, later in pairwise(points)]
    return sum(point.value * length for point, length in zip(points[1:], lengths, strict=True)) / sum(lengths)


def bare(device: CpuDevice, dtype: str) -> float:
    """FLOP/s of nothing but products into one result."""
    shape = device.shape(dtype)
    a, b = device.operand(dtype, shape.m, shape.k, 1), device.operand(dtype, shape.k, shape.n, 2)
    out = torch.empty(shape.m, shape.n, dtype=RESULT[dtype])
    multiply = product(dtype)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < SEGMENT_SECONDS:
        multiply(a, b, out)
        count += 1
    return count * shape.flops / (time.perf_counter() - start)


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
