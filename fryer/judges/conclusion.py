"""What a judge returns, and the few questions that most judges ask of the evidence. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from fryer.ceiling import readings_during
from fryer.evidence import DeviceInfo, Measurement, NodeEvidence, Reason
from fryer.records import FLOPS
from watchdog.collectors.readings import GpuReading
from watchdog.vocabulary.units import show_quantity
from watchdog.vocabulary.verdicts import Verdict

NODE = ""
"""In place of a device: the conclusion concerns the node as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """One reason, and whom it concerns."""

    device: str
    """Name of a device, or `NODE`."""
    reason: Reason


def conclude(
    evidence: NodeEvidence,
    device: str,
    code: str,
    verdict: Verdict,
    message: str,
    *,
    figures: Mapping[str, object],
    remedy: str = "",
    burn: str = "",
) -> Conclusion:
    """A conclusion with its figures, and the command that repeats `burn` (where that is known)."""
    return Conclusion(
        device=device,
        reason=Reason(
            code=code,
            verdict=verdict,
            message=message,
            evidence=figures,
            remedy=remedy,
            repeat=evidence.repeat.get(burn, ""),
        ),
    )


def show_rate(value: float, metric: str, case: str = "") -> str:
    """``729 TFLOP/s`` or ``3.04 TB/s``; ``1.40 POP/s`` where `case` says that the products are of integers."""
    products = "OP/s" if case.startswith("int8") else "FLOP/s"
    return show_quantity(value, products if metric == FLOPS else "B/s")


def count_of(count: int, noun: str) -> str:
    """``1 wrong result``, ``118,764 products``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def what(measurement: Measurement) -> str:
    """``gemm bf16 8192x8192x8192``."""
    return f"{measurement.burn} {measurement.case}".rstrip()


def devices_by_name(evidence: NodeEvidence) -> dict[str, DeviceInfo]:
    """The node's devices."""
    return {device.name: device for device in evidence.devices}


def alike(evidence: NodeEvidence, measurements: Iterable[Measurement]) -> list[list[Measurement]]:
    """Measurements that may be compared across devices: same part, burn, case and metric, and over equal links."""
    devices = devices_by_name(evidence)
    groups: defaultdict[tuple[object, ...], list[Measurement]] = defaultdict(list)
    for found in measurements:
        device = devices.get(found.device)
        if device is None:
            continue
        link = device.link_bytes_per_second if found.burn == "pcie" else None
        groups[device.part, link, found.burn, found.case, found.metric].append(found)
    return list(groups.values())


def burn_at(evidence: NodeEvidence, device: str, at_seconds: float) -> str:
    """The burn that the device ran at that time; the first of the run where none is known."""
    for found in evidence.measurements:
        if (
            found.device == device
            and found.series
            and (found.series[0].at_seconds - 1 <= at_seconds <= found.series[-1].at_seconds + 1)
        ):
            return found.burn
    return next(iter(evidence.repeat), "")


def observed(evidence: NodeEvidence, measurement: Measurement) -> dict[str, object]:
    """What NVML showed during the series: medians of clock, power and temperature, which tell why a figure is low."""
    readings = readings_during(measurement, evidence.gpu_readings.get(measurement.device, ()))
    medians = {
        "sm_clock_hertz": _median(r.sm_clock_hertz for r in readings),
        "power_watts": _median(r.power_watts for r in readings),
        "temperature_celsius": _median(r.temperature_celsius for r in readings),
        "memory_temperature_celsius": _median(r.memory_temperature_celsius for r in readings),
    }
    return {name: value for name, value in medians.items() if value is not None}


def increase(readings: Sequence[GpuReading], field: str) -> float | None:
    """Growth of a counter over the run; None with no reading of it. Where it fell it was reset, and counts from 0."""
    values = [value for reading in readings if (value := getattr(reading, field)) is not None]
    if not values:
        return None
    return float(sum(later - earlier if later >= earlier else later for earlier, later in pairwise(values)))


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
