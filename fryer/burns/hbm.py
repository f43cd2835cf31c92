"""Memory bandwidth of a device: copy, and triad out = b + 3·c. Host memory where the device is a processor.

Rates count what is read and written, as STREAM does (J. D. McCalpin, https://www.cs.virginia.edu/stream/ref.html):
twice the bytes copied, three times the length of a triad's array. On a processor the caches also read what they are to
overwrite, unless the stores bypass them; that traffic is not counted.
"""

from collections.abc import Iterator, Sequence

import torch

from fryer.burns import Task
from fryer.burns.rates import Lane
from fryer.burns.transfer import fill, stopped, timed, verified
from fryer.caches import last_level_cache_bytes
from fryer.devices import Device
from fryer.records import Record

DEVICE_ARRAY_BYTES = 1 << 30
"""Twenty times the L2 cache of an H100 (50 MB)."""
CACHE_MULTIPLE = 4
"""Each array at least four times the last-level caches: STREAM's own rule (ref.html, "Adjust the problem size")."""
_NUM_ARRAYS = 3
_UNIT_BYTES = 4096
_TRIAD = (1.0, 2.0, 7.0)
"""b, c, and b + 3·c, exact in any format."""


def run(devices: Sequence[Device], task: Task) -> Iterator[Record]:
    """Copy for half of the time, triad for the other."""
    (device,) = devices
    num_bytes = array_bytes(device, task.memory_ratio)
    arrays = [torch.empty(num_bytes, dtype=torch.uint8, device=device.torch_device) for _ in range(_NUM_ARRAYS)]
    yield from _copy(device, task, arrays)
    if task.stop():
        yield stopped(device, "hbm", "triad")
        return
    yield from _triad(device, task, [array.view(torch.float32) for array in arrays])


def array_bytes(device: Device, memory_ratio: float) -> int:
    """Real bytes of each array: well beyond the caches, as far as the memory that may be used allows."""
    wanted = CACHE_MULTIPLE * last_level_cache_bytes() if device.host_is_device else DEVICE_ARRAY_BYTES // device.scale
    allowed = int(device.free_bytes() * memory_ratio) // _NUM_ARRAYS
    return max(min(wanted, allowed) // _UNIT_BYTES, 1) * _UNIT_BYTES


def _copy(device: Device, task: Task, arrays: Sequence[torch.Tensor]) -> Iterator[Record]:
    source, destination, _ = arrays
    fill(source, task.seed)
    destination.zero_()

    def queue() -> int:
        device.copy(source, destination)
        return 2 * source.nbytes * device.scale

    yield from timed(device, "hbm", "copy", [Lane(device, 0, queue)], task.seconds / 2, task)
    yield from verified(device, "hbm", "copy", destination, task, again=lambda: device.copy(source, destination))


def _triad(device: Device, task: Task, arrays: Sequence[torch.Tensor]) -> Iterator[Record]:
    b, c, out = arrays
    b.fill_(_TRIAD[0])
    c.fill_(_TRIAD[1])
    out.zero_()

    def queue() -> int:
        device.triad(b, c, out)
        return 3 * out.nbytes * device.scale

    yield from timed(device, "hbm", "triad", [Lane(device, 0, queue)], task.seconds / 2, task)
    yield from verified(
        device,
        "hbm",
        "triad",
        out,
        task,
        again=queue,
        expect=lambda words, _: words.view(torch.float32).fill_(_TRIAD[2]),
    )
