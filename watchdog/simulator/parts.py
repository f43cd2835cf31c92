"""The GPUs that can be simulated: what the driver prints for them and the figures NVML shows. A table; no logic.

Sources: NVIDIA data sheets (power, memory, clocks); names as `nvidia-smi -L` prints them. Temperatures: slowdown at
87 C and HBM limit at 95 C, as H100 and A100 boards report them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One GPU product."""

    product: str
    """`nvmlDeviceGetName`."""
    memory_bytes: int
    power_limit_watts: float
    sm_clock_max_hertz: float
    memory_clock_hertz: float
    sustained_ratio: float
    """SM clock under a full load at the power limit, over the highest clock."""
    pcie_generation: int
    nvlinks: int
    """0: NVML answers NOT_SUPPORTED for everything of NVLink."""
    pci_device_id: int
    """Device and vendor, as `nvmlPciInfo_t.pciDeviceId`."""
    idle_watts: float = 70.0
    slowdown_celsius: float = 87.0
    memory_limit_celsius: float = 95.0
    has_margin: bool = True
    """`nvmlDeviceGetMarginTemperature` and the T.Limit fields: not before Hopper."""
    has_fabric: bool = False
    """Behind NVSwitches: it registers with the fabric manager (Hopper and later)."""


def _mega(clock: float) -> float:
    return clock * 1e6


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "H100-SXM5-80GB": Part(
            product="NVIDIA H100 80GB HBM3",
            memory_bytes=85_520_809_984,
            power_limit_watts=700,
            sm_clock_max_hertz=_mega(1980),
            memory_clock_hertz=_mega(2619),
            sustained_ratio=0.886,
            pcie_generation=5,
            nvlinks=18,
            pci_device_id=0x233010DE,
            has_fabric=True,
        ),
        "H100-PCIe": Part(
            product="NVIDIA H100 PCIe",
            memory_bytes=85_520_809_984,
            power_limit_watts=350,
            sm_clock_max_hertz=_mega(1755),
            memory_clock_hertz=_mega(1593),
            sustained_ratio=0.70,
            pcie_generation=5,
            nvlinks=0,
            pci_device_id=0x233110DE,
        ),
        "H100-NVL": Part(
            product="NVIDIA H100 NVL",
            memory_bytes=100_485_038_080,
            power_limit_watts=400,
            sm_clock_max_hertz=_mega(1785),
            memory_clock_hertz=_mega(2619),
            sustained_ratio=0.72,
            pcie_generation=5,
            nvlinks=12,
            pci_device_id=0x232110DE,
        ),
        "H200-SXM": Part(
            product="NVIDIA H200",
            memory_bytes=150_754_820_096,
            power_limit_watts=700,
            sm_clock_max_hertz=_mega(1980),
            memory_clock_hertz=_mega(3201),
            sustained_ratio=0.886,
            pcie_generation=5,
            nvlinks=18,
            pci_device_id=0x233510DE,
            has_fabric=True,
        ),
        "A100-SXM4-80GB": Part(
            product="NVIDIA A100-SXM4-80GB",
            memory_bytes=85_899_345_920,
            power_limit_watts=400,
            sm_clock_max_hertz=_mega(1410),
            memory_clock_hertz=_mega(1593),
            sustained_ratio=0.979,
            pcie_generation=4,
            nvlinks=12,
            pci_device_id=0x20B210DE,
            has_margin=False,
        ),
        "GH200": Part(
            product="NVIDIA GH200 480GB",
            memory_bytes=102_625_181_696,
            power_limit_watts=900,
            sm_clock_max_hertz=_mega(1980),
            memory_clock_hertz=_mega(2619),
            sustained_ratio=0.924,
            pcie_generation=5,
            nvlinks=18,
            pci_device_id=0x234210DE,
        ),
        "B200": Part(
            product="NVIDIA B200",
            memory_bytes=192_265_846_784,
            power_limit_watts=1000,
            sm_clock_max_hertz=_mega(1965),
            memory_clock_hertz=_mega(3996),
            sustained_ratio=0.90,
            pcie_generation=5,
            nvlinks=18,
            pci_device_id=0x290110DE,
            has_fabric=True,
            idle_watts=140.0,
        ),
    }
)
"""Parts by the name that scenarios use."""
