"""One rank of a soak, as a process of its own: prints each record as a JSON line. Run by test_soak.py.

Arguments: rank, number of ranks, rendezvous, seconds, seconds after which this rank asks to stop (0: never).
"""

import dataclasses
import json
import sys
import time

import torch

from fryer.burns import Task, soak
from fryer.devices import Shape
from fryer.devices.cpu import CpuDevice
from watchdog.clock import RunClock


class SmallDevice(CpuDevice):
    """Small products, so that a second has many."""

    def real_shape(self, dtype):
        return Shape(m=128, n=128, k=128)


def main():
    rank, num_ranks, rendezvous, seconds, stop_after = sys.argv[1:]
    device = SmallDevice(f"cpu{rank}", RunClock.start())
    device.open()
    torch.set_num_threads(1)
    begin = time.monotonic()

    def stop():
        return float(stop_after) > 0 and time.monotonic() - begin > float(stop_after)

    task = Task(
        seconds=float(seconds),
        seed=7,
        dtypes=("fp32",),
        memory_ratio=0.1,
        stop=stop,
        rank=int(rank),
        num_ranks=int(num_ranks),
        rendezvous=rendezvous,
    )
    for record in soak.run([device], task):
        sys.stdout.write(json.dumps({"kind": type(record).__name__, **dataclasses.asdict(record)}) + "\n")
        sys.stdout.flush()


main()
