"""What a node's collectives run over: NVLink by the GPUs' product, NVLS by CUDA, NICs by their ports in sysfs.

What is not known stays None, so that nothing is expected of it. It loads no CUDA: the list that `fryer.cuda_order` read
in a process of its own is given.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from fryer.cuda_order import CudaEntry
from fryer.fleet.orders import Interconnect
from fryer.parts import Part, find_part
from watchdog.collectors.sysfs import folders, text

_GIGABIT = 1e9 / 8
_ACTIVE = "4:"
"""``4: ACTIVE`` (Linux, drivers/infiniband/core/sysfs.c)."""
_MEASURED_PREFIX = "mlx"
"""Devices of mlx4 and mlx5: those whose shares of the wire are published. Of others (EFA) nothing is expected."""
_SWITCHED_FROM = 8
"""SXM boards of four GPUs are wired directly, those of eight have NVSwitches (HGX A100 and later)."""


def read_interconnect(entries: Sequence[CudaEntry], sysfs: Path = Path("/sys")) -> Interconnect:
    """Of this node, whose GPUs are `entries`. A node without GPUs, or of unlike ones, has nothing known of them."""
    num_nics, rate = read_nics(len(entries), sysfs)
    names = {entry.name for entry in entries}
    multicast = {entry.has_multicast for entry in entries}
    nvlink, has_switch = nvlink_of(find_part(names.pop()) if len(names) == 1 else None, len(entries))
    return Interconnect(
        nvlink_bytes_per_second=nvlink,
        has_switch=has_switch,
        has_nvls=multicast.pop() if len(multicast) == 1 else None,
        num_nics=num_nics,
        nic_bytes_per_second=rate,
    )


def nvlink_of(part: Part | None, num_gpus: int) -> tuple[float | None, bool | None]:
    """Bytes a second of one GPU's NVLink, one way, and whether there is an NVSwitch behind it; None: not known."""
    link = part.figure("p2p", "to", "bytes_per_second") if part else None
    if part is None or link is None:
        return None, None
    return link.peak, num_gpus >= _SWITCHED_FROM


def read_nics(num_gpus: int, sysfs: Path = Path("/sys")) -> tuple[int | None, float | None]:
    """How many NICs carry collectives, and the rate of one in bytes per second; (None, None) where nobody knows.

    Those are the fastest ones that are up. More of them than GPUs, and no multiple of their number, are a storage
    network's too (8 + 2 of a DGX H100), so only one a GPU counts.
    """
    rates: Mapping[str, float] = {
        device.name: rate
        for device in folders(sysfs / "class/infiniband")
        if (rate := sum(_rate(port) for port in folders(device / "ports"))) > 0
    }
    if not rates or not all(name.startswith(_MEASURED_PREFIX) for name in rates):
        return None, None
    fastest = max(rates.values())
    number = sum(rate == fastest for rate in rates.values())
    return (num_gpus if num_gpus and number > num_gpus and number % num_gpus else number), fastest


def _rate(port: Path) -> float:
    """Bytes a second of a port that is up; 0 of any other. ``400 Gb/sec (4X NDR)``."""
    if not (text(port / "state") or "").startswith(_ACTIVE):
        return 0.0
    try:
        return float((text(port / "rate") or "").split()[0]) * _GIGABIT
    except (IndexError, ValueError):
        return 0.0
