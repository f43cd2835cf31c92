"""Every pair of devices: each to each, and both directions at once (NVLink, or PCIe where there is none).

A copy is queued by the device that sends it. ``both gpu3`` is the sum of the two directions of a pair, which move
equally many bytes, so it is twice the slower one; it is measured once for a pair, and belongs to the lower of the two.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, permutations

import torch

from fryer.burns import Task
from fryer.burns.rates import Lane
from fryer.burns.transfer import fill, skipped, stopped, timed, verified
from fryer.devices import Device
from fryer.records import Record

BUFFER_BYTES = 256 << 20
"""0.7 ms over the NVLinks of an H100: long enough to be level."""
SENDING = 1
"""The queue that a device sends from. Not queue 0: torch copies between devices in the sender's current queue, and
makes that wait for the receiver's current queue before, and the other way round after (aten/src/ATen/native/cuda/
Copy.cu, `copy_device_to_device`). The receiver's current queue is its queue 0, since a lane is entered for one device
at a time; were that also its sending queue, the two directions of a pair would take turns."""


@dataclass(frozen=True, slots=True)
class _Side:
    """What one device sends, and where it receives."""

    device: Device
    outgoing: torch.Tensor
    incoming: torch.Tensor


def run(devices: Sequence[Device], task: Task) -> Iterator[Record]:
    """All ordered pairs, then all pairs in both directions, each for the same time."""
    if len(devices) < 2 or any(device.host_is_device for device in devices):
        for device in devices:
            yield skipped(device, "p2p", "no_peer", _why_not(devices))
        return
    sides = [_side(device, task.seed) for device in devices]
    cases = [(f"to {b.device.name}", (a, b), [(a, b)]) for a, b in permutations(sides, 2)]
    cases += [(f"both {b.device.name}", (a, b), [(a, b), (b, a)]) for a, b in combinations(sides, 2)]
    for case, (sender, _), moves in cases:
        if task.stop():
            yield stopped(sender.device, "p2p", case)
            continue
        for _, receiver in moves:
            receiver.incoming.zero_()
            receiver.device.wait(receiver.device.mark())
        yield from timed(sender.device, "p2p", case, [_lane(a, b) for a, b in moves], task.seconds / len(cases), task)
        for a, b in moves:
            yield from verified(sender.device, "p2p", case, b.incoming, task, again=partial(_copy_and_wait, a, b))


def _why_not(devices: Sequence[Device]) -> str:
    if len(devices) < 2:
        return f"{devices[0].name} is the only device of this node: there is no pair to measure"
    return "these devices compute in host memory: there is no link between them that a copy would use"


def _side(device: Device, seed: int) -> _Side:
    num_bytes = BUFFER_BYTES // device.scale // 8 * 8
    outgoing, incoming = (torch.empty(num_bytes, dtype=torch.uint8, device=device.torch_device) for _ in range(2))
    fill(outgoing, seed)
    device.wait(device.mark())
    return _Side(device, outgoing, incoming)


def _copy_and_wait(sender: _Side, receiver: _Side) -> None:
    sender.device.copy(sender.outgoing, receiver.incoming, to_peer=True)
    sender.device.wait(sender.device.mark())


def _lane(sender: _Side, receiver: _Side) -> Lane:
    def queue() -> int:
        sender.device.copy(sender.outgoing, receiver.incoming, to_peer=True)
        return sender.outgoing.nbytes * sender.device.scale

    return Lane(sender.device, SENDING, queue)
