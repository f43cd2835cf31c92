"""The link between host and device: to the device, from it, and both at once, out of pinned memory.

``both`` is the sum of the two directions, which move equally many bytes, so it is twice the slower one.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import torch

from fryer.burns import Task
from fryer.burns.rates import Lane
from fryer.burns.transfer import fill, skipped, stopped, timed, verified
from fryer.devices import Device
from fryer.records import Record

BUFFER_BYTES = 256 << 20
"""Rates are level from 64 MiB on; 4.5 ms over PCIe 5.0 x16."""
CASES = ("h2d", "d2h", "both")


def run(devices: Sequence[Device], task: Task) -> Iterator[Record]:
    """Each of `CASES` for a third of the time."""
    (device,) = devices
    if device.host_is_device:
        yield skipped(device, "pcie", "no_link", f"{device.name} computes in host memory: there is no link to measure")
        return
    num_bytes = BUFFER_BYTES // device.scale // 8 * 8
    to_device = (device.host_buffer(num_bytes), _device_buffer(device, num_bytes))
    from_device = (_device_buffer(device, num_bytes), device.host_buffer(num_bytes))
    for source, destination in (to_device, from_device):
        fill(source, task.seed)
        destination.zero_()
    device.wait(device.mark())
    lanes = {
        "h2d": [_lane(device, 0, *to_device)],
        "d2h": [_lane(device, 0, *from_device)],
        "both": [_lane(device, 1, *to_device), _lane(device, 2, *from_device)],
    }
    arrivals = {"h2d": [to_device], "d2h": [from_device], "both": [to_device, from_device]}
    for case in CASES:
        if task.stop():
            yield stopped(device, "pcie", case)
            continue
        yield from timed(device, "pcie", case, lanes[case], task.seconds / len(CASES), task)
        for source, destination in arrivals[case]:
            yield from verified(
                device, "pcie", case, destination, task, again=partial(device.copy, source, destination)
            )


def _device_buffer(device: Device, num_bytes: int) -> torch.Tensor:
    return torch.empty(num_bytes, dtype=torch.uint8, device=device.torch_device)


def _lane(device: Device, index: int, source: torch.Tensor, destination: torch.Tensor) -> Lane:
    def queue() -> int:
        device.copy(source, destination)
        return source.nbytes * device.scale

    return Lane(device, index, queue)
