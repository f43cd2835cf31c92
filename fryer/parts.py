"""What each GPU product can do: data-sheet peaks, and floors where somebody measured. A table with a source per figure.

Pure. A figure that nobody measured has no floor: no floor beats a guessed one, and the verdict then says so. Rates
are FLOP/s, and bytes a second one way (for ``hbm`` reads plus writes, as STREAM counts).

Peaks of dense products, without sparsity. A peak belongs to a clock: the 989.5 TFLOP/s of an H100 SXM are
132 SMs x 4096 FLOP/cycle x 1830 MHz, and at its highest clock of 1980 MHz the same arithmetic gives 1070.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fryer.records import BYTES, FLOPS

WARN_OF_TYPICAL = 0.96
FAIL_OF_TYPICAL = 0.88
"""Floors of parts with one published figure, as shares of it. They are the shares that the H100 SXM floors have of its
typical 729 TFLOP/s (700 and 640), where the range over eight healthy GPUs is known (714 to 758, _PLAYBOOK)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """Where measured GPUs of a part lie. It holds for random normal data: zeros and integers run faster."""

    warn: float
    fail: float
    source: str
    shape: str | None = None
    """The product shape that it holds for; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One rate of one part."""

    metric: str
    peak: float
    peak_source: str
    peak_clock_hertz: float | None = None
    """SM clock that `peak` is stated at; None where it doesn't follow the SM clock, or no source says which it is."""
    floor: Floor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One GPU product."""

    name: str
    """As NVML gives it (`nvmlDeviceGetName`)."""
    aliases: tuple[str, ...] = ()
    power_watts: float
    power_source: str
    pcie_generation: int
    pcie_width: int = 16
    has_switched_nvlink: bool = False
    """Every pair of GPUs is equally fast (NVSwitch of an HGX board)."""
    memory_warn_celsius: float | None = None
    memory_warn_source: str = ""
    figures: Mapping[tuple[str, str], Figure]
    """By burn and first word of the case: ``("gemm", "bf16")``, ``("hbm", "copy")``, ``("p2p", "to")``."""

    def figure(self, burn: str, case: str, metric: str) -> Figure | None:
        """The figure that a measurement is to be held against; None when this table has none."""
        found = self.figures.get((burn, case.partition(" ")[0]))
        return found if found and found.metric == metric else None

    def floor(self, burn: str, case: str, metric: str) -> Floor | None:
        """The floor for a measurement; None when nobody published one for this part, format and shape."""
        found = self.figure(burn, case, metric)
        if found is None or found.floor is None:
            return None
        shape = case.partition(" ")[2]
        return found.floor if found.floor.shape in (None, shape) else None


_SHEET_H100 = "NVIDIA H100 Tensor Core GPU data sheet (dense: half of the figures with sparsity)"
_SHEET_H200 = "NVIDIA H200 Tensor Core GPU data sheet (dense)"
_SHEET_GH200 = "NVIDIA GH200 Grace Hopper Superchip data sheet (dense)"
_SHEET_A100 = "NVIDIA A100 Tensor Core GPU data sheet (dense)"
_SHEET_B200 = "NVIDIA HGX B200 data sheet, a board's figures over 8 GPUs (dense)"
_PLAYBOOK = "Hugging Face, Smol Training Playbook, 8192^3 on 8 H100 SXM"
_FRYER = "huggingface/gpu-fryer 1.2.0 README"
_HBM_LIMIT = "sichek's H100 specification and operators' reports: HBM throttles at about 95 C, with no reason bit set"
_SHAPE = "8192x8192x8192"
_TERA, _GIGA, _MEGA = 1e12, 1e9, 1e6


def _product(peak: float, clock: float | None, sheet: str, floor: Floor | None = None) -> Figure:
    """A rate in TFLOP/s at a clock in MHz."""
    return Figure(
        metric=FLOPS,
        peak=peak * _TERA,
        peak_source=sheet,
        floor=floor,
        peak_clock_hertz=None if clock is None else clock * _MEGA,
    )


def _bytes(peak: float, sheet: str, floor: Floor | None = None) -> Figure:
    """A rate in GB/s."""
    return Figure(metric=BYTES, peak=peak * _GIGA, peak_source=sheet, floor=floor)


def _products_floor(warn: float, fail: float, source: str) -> Floor:
    return Floor(warn=warn * _TERA, fail=fail * _TERA, source=source, shape=_SHAPE)


def _from_typical(typical: float, source: str) -> Floor:
    return _products_floor(typical * WARN_OF_TYPICAL, typical * FAIL_OF_TYPICAL, f"{source}: {typical:g} TFLOP/s")


def _bytes_floor(warn: float, fail: float, source: str) -> Floor:
    return Floor(warn=warn * _GIGA, fail=fail * _GIGA, source=source)


_H100_BF16 = _products_floor(700, 640, f"{_PLAYBOOK}: 729 (714 to 758)")
_H100_FP16 = _products_floor(696, 638, f"{_PLAYBOOK}: 725")
_H100_FP8 = _products_floor(1200, 1100, f"{_PLAYBOOK}, scaled product: 1404 (1210 to 1457)")
_H100_FP64 = _products_floor(48.5, 45, f"{_PLAYBOOK}: 51.4 (49.5 to 56)")
_H100_LINK = _bytes_floor(
    365, 335, "one way: 376 (ml-engineering), 393 (Playbook, nvbandwidth); 335 is azurehpc-health-checks' limit"
)
_H200_MAMF = "ml-engineering MAMF: H200 as fast as H100 SXM in bf16 (794.5), faster in fp8 (1453 against 1402); "


def _memory(peak: float, sheet: str, copy: Floor | None = None) -> dict[tuple[str, str], Figure]:
    return {("hbm", "copy"): _bytes(peak, sheet, copy), ("hbm", "triad"): _bytes(peak, sheet)}


_H100_SXM = Part(
    name="NVIDIA H100 80GB HBM3",
    aliases=("H100-SXM5-80GB",),
    power_watts=700,
    power_source=_SHEET_H100,
    pcie_generation=5,
    has_switched_nvlink=True,
    memory_warn_celsius=95,
    memory_warn_source=_HBM_LIMIT,
    figures={
        ("gemm", "bf16"): _product(989.5, 1830, _SHEET_H100, _H100_BF16),
        ("gemm", "fp16"): _product(989.5, 1830, _SHEET_H100, _H100_FP16),
        ("gemm", "fp8"): _product(1979, 1830, _SHEET_H100, _H100_FP8),
        ("gemm", "int8"): _product(1979, 1830, _SHEET_H100),
        ("gemm", "tf32"): _product(494.7, 1830, _SHEET_H100, _products_floor(355, 330, f"{_PLAYBOOK}: 373")),
        ("gemm", "fp64"): _product(66.9, 1980, _SHEET_H100, _H100_FP64),
        ("gemm", "fp32"): _product(66.9, 1980, _SHEET_H100),
        **_memory(
            3352, _SHEET_H100, _bytes_floor(2850, 2600, "copies, read plus write: 3040 (Playbook), 2900 (Voltage Park)")
        ),
        ("p2p", "to"): _bytes(450, _SHEET_H100, _H100_LINK),
        ("p2p", "both"): _bytes(900, _SHEET_H100),
    },
)
_H100_PCIE = Part(
    name="NVIDIA H100 PCIe",
    aliases=("H100-PCIe",),
    power_watts=350,
    power_source=_SHEET_H100,
    pcie_generation=5,
    figures={
        ("gemm", "bf16"): _product(756.5, 1620, _SHEET_H100),
        ("gemm", "fp16"): _product(756.5, 1620, _SHEET_H100),
        ("gemm", "fp8"): _product(1513, 1620, _SHEET_H100),
        ("gemm", "int8"): _product(1513, 1620, _SHEET_H100),
        ("gemm", "tf32"): _product(378.2, 1620, _SHEET_H100),
        ("gemm", "fp64"): _product(51.2, 1755, _SHEET_H100),
        ("gemm", "fp32"): _product(51.2, 1755, _SHEET_H100),
        **_memory(2039, _SHEET_H100),
    },
)
_H100_NVL = Part(
    name="NVIDIA H100 NVL",
    aliases=("H100-NVL",),
    power_watts=400,
    power_source=_SHEET_H100,
    pcie_generation=5,
    memory_warn_celsius=95,
    memory_warn_source=_HBM_LIMIT,
    figures={
        ("gemm", "bf16"): _product(835, 1544, _SHEET_H100),
        ("gemm", "fp16"): _product(835, 1544, _SHEET_H100),
        ("gemm", "fp8"): _product(1670, 1544, _SHEET_H100),
        ("gemm", "int8"): _product(1670, 1544, _SHEET_H100),
        ("gemm", "tf32"): _product(417.5, 1544, _SHEET_H100),
        ("gemm", "fp64"): _product(60.3, 1785, _SHEET_H100),
        ("gemm", "fp32"): _product(60.3, 1785, _SHEET_H100),
        **_memory(3938, _SHEET_H100),
    },
)
_H200 = Part(
    name="NVIDIA H200",
    aliases=("H200-SXM",),
    power_watts=700,
    power_source=_SHEET_H200,
    pcie_generation=5,
    has_switched_nvlink=True,
    memory_warn_celsius=95,
    memory_warn_source=_HBM_LIMIT,
    figures={
        ("gemm", "bf16"): _product(989.5, 1830, _SHEET_H200, _products_floor(700, 640, _H200_MAMF + _H100_BF16.source)),
        ("gemm", "fp16"): _product(989.5, 1830, _SHEET_H200),
        ("gemm", "fp8"): _product(1979, 1830, _SHEET_H200, _products_floor(1200, 1100, _H200_MAMF + _H100_FP8.source)),
        ("gemm", "int8"): _product(1979, 1830, _SHEET_H200),
        ("gemm", "tf32"): _product(494.7, 1830, _SHEET_H200),
        ("gemm", "fp64"): _product(66.9, 1980, _SHEET_H200),
        ("gemm", "fp32"): _product(66.9, 1980, _SHEET_H200),
        **_memory(4917, _SHEET_H200 + ": 4.8 TB/s; 6144 bits at 3201 MHz (NVML) are 4.917"),
        ("p2p", "to"): _bytes(
            450,
            _SHEET_H200,
            _bytes_floor(365, 335, "one way: 396 (ml-engineering, H200); limits of the H100, whose NVLink is the same"),
        ),
        ("p2p", "both"): _bytes(900, _SHEET_H200),
    },
)
_GH200 = Part(
    name="NVIDIA GH200 480GB",
    aliases=("GH200",),
    power_watts=900,
    power_source=_SHEET_GH200,
    pcie_generation=5,
    memory_warn_celsius=95,
    memory_warn_source=_HBM_LIMIT,
    figures={
        ("gemm", "bf16"): _product(989.5, 1830, _SHEET_GH200, _from_typical(705, _FRYER)),
        ("gemm", "fp16"): _product(989.5, 1830, _SHEET_GH200),
        ("gemm", "fp8"): _product(1979, 1830, _SHEET_GH200),
        ("gemm", "int8"): _product(1979, 1830, _SHEET_GH200),
        ("gemm", "tf32"): _product(494.7, 1830, _SHEET_GH200, _from_typical(363, _FRYER)),
        ("gemm", "fp64"): _product(66.9, 1980, _SHEET_GH200),
        ("gemm", "fp32"): _product(66.9, 1980, _SHEET_GH200),
        **_memory(4022, _SHEET_GH200 + ": 4 TB/s (96 GB HBM3); 6144 bits at 2619 MHz are 4.022"),
    },
)


def _a100(name: str, *, aliases: tuple[str, ...] = (), watts: float, memory: float, is_sxm: bool) -> Part:
    """An A100: all have 108 SMs and 1410 MHz; they differ in memory, power and links."""
    links = {("p2p", "to"): _bytes(300, _SHEET_A100), ("p2p", "both"): _bytes(600, _SHEET_A100)} if is_sxm else {}
    return Part(
        name=name,
        aliases=aliases,
        power_watts=watts,
        power_source=_SHEET_A100,
        pcie_generation=4,
        figures={
            ("gemm", "bf16"): _product(312, 1410, _SHEET_A100, _from_typical(270, _FRYER) if is_sxm else None),
            ("gemm", "fp16"): _product(312, 1410, _SHEET_A100),
            ("gemm", "int8"): _product(624, 1410, _SHEET_A100),
            ("gemm", "tf32"): _product(156, 1410, _SHEET_A100, _from_typical(130, _FRYER) if is_sxm else None),
            ("gemm", "fp64"): _product(19.5, 1410, _SHEET_A100),
            ("gemm", "fp32"): _product(19.5, 1410, _SHEET_A100),
            **_memory(memory, _SHEET_A100),
            **links,
        },
    )


_B200 = Part(
    name="NVIDIA B200",
    aliases=("B200",),
    power_watts=1000,
    power_source=_SHEET_B200,
    pcie_generation=5,
    has_switched_nvlink=True,
    figures={
        ("gemm", "bf16"): _product(2250, None, _SHEET_B200),
        ("gemm", "fp16"): _product(2250, None, _SHEET_B200),
        ("gemm", "fp8"): _product(4500, None, _SHEET_B200),
        ("gemm", "int8"): _product(4500, None, _SHEET_B200),
        ("gemm", "tf32"): _product(1125, None, _SHEET_B200),
        **_memory(8000, "NVIDIA Blackwell architecture brief: up to 8 TB/s; the HGX data sheet has 7.7 to 8"),
        ("p2p", "to"): _bytes(900, _SHEET_B200),
        ("p2p", "both"): _bytes(1800, _SHEET_B200),
    },
)

PARTS: Mapping[str, Part] = MappingProxyType(
    {
        part.name: part
        for part in (
            _H100_SXM,
            _H100_PCIE,
            _H100_NVL,
            _H200,
            _GH200,
            _a100("NVIDIA A100-SXM4-80GB", aliases=("A100-SXM4-80GB",), watts=400, memory=2039, is_sxm=True),
            _a100("NVIDIA A100-SXM4-40GB", aliases=("A100-SXM4-40GB",), watts=400, memory=1555, is_sxm=True),
            _a100("NVIDIA A100 80GB PCIe", aliases=("A100-PCIe-80GB",), watts=300, memory=1935, is_sxm=False),
            _a100("NVIDIA A100-PCIE-40GB", aliases=("A100-PCIe-40GB",), watts=250, memory=1555, is_sxm=False),
            _B200,
        )
    }
)
"""Parts by their NVML name."""

_BY_ANY_NAME = {name.lower(): part for part in PARTS.values() for name in (part.name, *part.aliases)}


def find_part(name: str) -> Part | None:
    """The part of that NVML product name (or scenario name), whatever its case; None for one that isn't in the table.

    Names must match whole: an ``NVIDIA H200 NVL`` is another product than an ``NVIDIA H200``.
    """
    return _BY_ANY_NAME.get(name.strip().lower())


_PRACTICAL = {63.0: 55.0, 31.5: 25.0, 15.75: 14.0}
"""GB/s one way of a link (Gen5 x16, Gen4 x16, Gen4 x8) and what a healthy copy reaches over it. Sources: 55.4 and 55.1,
ml-engineering on Gen5; 25, the same book on Gen4; 14.2, Smol Training Playbook on AWS p5, where a leg is Gen4 x8."""
LEAST_EFFICIENCY = 25.0 / 31.5
"""For links that nobody published a figure of: the lowest of the known ones."""


def practical_link_rate(link_bytes_per_second: float) -> float:
    """Bytes a second that a healthy copy reaches over a link of that theoretical rate (the slowest of the path)."""
    for theoretical, practical in _PRACTICAL.items():
        if abs(link_bytes_per_second / _GIGA / theoretical - 1) < 0.02:
            return link_bytes_per_second * practical / theoretical
    return link_bytes_per_second * LEAST_EFFICIENCY
