"""Who the simulated GPUs are: names, numbers and addresses that stay the same whenever and wherever they are read."""

from uuid import UUID, uuid5

DRIVER, NVML, CUDA = "570.86.15", "12.570.86.15", 12080
"""Versions of one real driver release, as `nvidia-smi` prints them."""
VBIOS = "96.00.89.00.01"
_NAMESPACE = UUID("6f9a4c1e-3f0b-4a56-9d0e-2b7c5a1f8e44")
_FIRST_BUS, _BUS_STEP = 0x1B, 3
"""64 GPUs, the most of a scenario's node, still fit below bus 0x100."""


def gpu_uuid(seed: int, node: str, index: int) -> str:
    """UUID of a GPU, as NVML writes it: stable for the same arguments, another for each node and index."""
    return f"GPU-{uuid5(_NAMESPACE, f'{seed}/{node}/{index}')}"


def gpu_serial(seed: int, node: str, index: int) -> str:
    """Serial number: thirteen digits, as on an H100."""
    return f"165{uuid5(_NAMESPACE, f'serial/{seed}/{node}').int % 10**8:08d}{index:02d}"


def gpu_bus(index: int) -> int:
    """PCI bus number; domain, device and function are 0."""
    return _FIRST_BUS + _BUS_STEP * index


def gpu_bus_id(index: int) -> str:
    """PCI address as NVML writes it, with an eight-digit domain and capital letters."""
    return f"00000000:{gpu_bus(index):02X}:00.0"
