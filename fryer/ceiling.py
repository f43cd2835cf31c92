"""The physical ceiling of a measurement, from the clock observed: what lies above it was not measured, but mismeasured.

Pure. A rate above the ceiling is the tool's own failure (work that was counted and not done, a wrong clock), so it is
neither a pass nor a failure of the hardware.

A GPU's ceiling is peak x clock observed / clock of the peak (`fryer.parts`); a processor's is cores x FLOP per cycle of
the widest instructions x clock; a link's is its theoretical rate. Unknown part, instructions or link: no ceiling.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from fryer.evidence import DeviceInfo, Measurement, NodeEvidence
from fryer.parts import Figure, find_part
from fryer.records import FLOPS
from watchdog.collectors.readings import GpuReading

TOLERANCE_RATIO = 1.02
"""A measured rate may exceed its ceiling by this: intervals are timed to about 1 %, clocks are read once a second."""
LEAST_READINGS = 5
"""Readings needed during the series for the highest clock among them to stand for the highest clock of all."""
FASTEST_PROCESSOR_HERTZ = 6.2e9
"""No processor sold so far clocks higher (Intel ARK, Core i9-14900KS). Stands in where the kernel tells no maximum: in
virtual machines, whose cpuinfo shows a nominal clock that turbo exceeds."""

_AVX2 = MappingProxyType({"fp64": 16, "fp32": 32, "bf16": 32, "fp16": 32, "tf32": 32, "int8": 128})
_AVX512 = MappingProxyType({"fp64": 32, "fp32": 64, "bf16": 64, "fp16": 64, "tf32": 64, "int8": 256})
_AVX512_BF16 = MappingProxyType({**_AVX512, "bf16": 128})
_AVX512_FP16 = MappingProxyType({**_AVX512_BF16, "fp16": 128})
_AMX = MappingProxyType({**_AVX512_FP16, "bf16": 1024, "int8": 2048})
FLOPS_PER_CYCLE: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "avx2": _AVX2,
        "avx512": _AVX512,
        "avx512f": _AVX512,
        "avx512_bf16": _AVX512_BF16,
        "avx512_fp16": _AVX512_FP16,
        "amx": _AMX,
        "amx_bf16": _AMX,
        "amx_int8": _AMX,
        "amx_fp16": MappingProxyType({**_AMX, "fp16": 1024}),
    }
)
"""Most FLOP per cycle and core, by the widest instructions that the processor has and by format.

Sources: two vector units of 256 or 512 bits, a multiply-add on each lane a cycle (Intel 64 Optimization Reference
Manual; AMD Zen 4 halves the 512-bit rate, so this is an upper bound there); dot products of two bf16 or four int8 on a
lane; AMX: 1024 bf16 and 2048 int8 operations a cycle (Intel, "Accelerate AI with Intel AMX"). No Arm words: nobody
checked one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The most that physics allows, and how that was worked out."""

    value: float
    why: str


def ceiling(measurement: Measurement, evidence: NodeEvidence) -> Ceiling | None:
    """The ceiling for one measurement; None when the part, the instructions or the link are not known."""
    device = next((d for d in evidence.devices if d.name == measurement.device), None)
    return None if device is None else ceiling_of(measurement, device, evidence)


def ceiling_of(measurement: Measurement, device: DeviceInfo, evidence: NodeEvidence) -> Ceiling | None:
    """The same for one whose device is at hand."""
    if device.kind == "cpu":
        return _processor_ceiling(measurement, device, evidence)
    if measurement.burn == "pcie":
        return _link_ceiling(measurement, device)
    return _part_ceiling(measurement, device, evidence)


def is_possible(measurement: Measurement, evidence: NodeEvidence) -> bool:
    """Whether the measurement lies below its ceiling (or has none)."""
    return _is_below(measurement, ceiling(measurement, evidence))


def possible(evidence: NodeEvidence) -> tuple[Measurement, ...]:
    """The measurements that may be compared with others."""
    return tuple([found for found, top in ceilings(evidence) if _is_below(found, top)])


def ceilings(evidence: NodeEvidence) -> list[tuple[Measurement, Ceiling | None]]:
    """Every measurement with its ceiling, where it has one."""
    devices = {device.name: device for device in reversed(evidence.devices)}
    return [
        (found, ceiling_of(found, devices[found.device], evidence) if found.device in devices else None)
        for found in evidence.measurements
    ]


def _is_below(measurement: Measurement, top: Ceiling | None) -> bool:
    return top is None or measurement.value <= top.value * TOLERANCE_RATIO


def readings_during(measurement: Measurement, readings: Sequence[GpuReading]) -> list[GpuReading]:
    """Readings from between the first and the last point of the series."""
    if not measurement.series:
        return []
    begin, end = measurement.series[0].at_seconds, measurement.series[-1].at_seconds
    return [reading for reading in readings if begin <= reading.at_seconds <= end]


def _part_ceiling(measurement: Measurement, device: DeviceInfo, evidence: NodeEvidence) -> Ceiling | None:
    part = find_part(device.part)
    figure = part.figure(measurement.burn, measurement.case, measurement.metric) if part else None
    if figure is None:
        return None
    if figure.metric != FLOPS:
        return Ceiling(value=figure.peak, why=figure.peak_source)
    clock = _gpu_clock(measurement, device, evidence)
    if figure.peak_clock_hertz is None or clock is None:
        return None
    return _at_clock(figure, clock)


@lru_cache(maxsize=1024)
def _at_clock(figure: Figure, clock_hertz: float) -> Ceiling:
    """A fleet's GPUs have few figures and few clocks among them."""
    stated = figure.peak_clock_hertz or clock_hertz
    return Ceiling(
        value=figure.peak * clock_hertz / stated,
        why=f"{figure.peak_source}, at {clock_hertz / 1e6:.0f} of {stated / 1e6:.0f} MHz",
    )


def _gpu_clock(measurement: Measurement, device: DeviceInfo, evidence: NodeEvidence) -> float | None:
    """Highest SM clock seen during the series; the highest that the part has where too little was seen."""
    during = readings_during(measurement, evidence.gpu_readings.get(device.name, ()))
    clocks = [reading.sm_clock_hertz for reading in during if reading.sm_clock_hertz]
    return max(clocks) if len(clocks) >= LEAST_READINGS else device.clock_max_hertz


def _link_ceiling(measurement: Measurement, device: DeviceInfo) -> Ceiling | None:
    if device.link_bytes_per_second is None:
        return None
    ways = 2 if measurement.case.partition(" ")[0] == "both" else 1
    return Ceiling(value=ways * device.link_bytes_per_second, why=device.link or "the slowest link of the PCIe path")


def _processor_ceiling(measurement: Measurement, device: DeviceInfo, evidence: NodeEvidence) -> Ceiling | None:
    """Of products only: host memory has no data sheet that the tool could know."""
    per_cycle = FLOPS_PER_CYCLE.get(device.isa or "", {}).get(measurement.case.partition(" ")[0])
    if measurement.metric != FLOPS or not per_cycle or not device.cores:
        return None
    seen = [reading.clock_hertz for reading in evidence.host_readings if reading.clock_hertz]
    clock = max([device.clock_max_hertz, *seen]) if device.clock_max_hertz else FASTEST_PROCESSOR_HERTZ
    return Ceiling(
        value=device.cores * per_cycle * clock,
        why=f"{device.cores} cores x {per_cycle} FLOP/cycle ({device.isa}) x {clock / 1e9:.2f} GHz",
    )
