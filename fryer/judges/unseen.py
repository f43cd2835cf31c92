"""What was measured without being watched or verified: silence is never a pass.

A GPU without NVML readings may have throttled, lost memory or asked for a reset meanwhile; a product that nobody
verified may be wrong.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import floor

from fryer.evidence import DeviceInfo, Measurement, NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude, count_of
from fryer.judges.limits import Limits
from watchdog.collectors.readings import GpuReading
from watchdog.vocabulary.units import show_duration
from watchdog.vocabulary.verdicts import Verdict

_SEEN = ("temperature_celsius", "power_watts", "sm_clock_hertz")
"""A reading that has none of these is of a GPU that could not be read."""


def judge(evidence: NodeEvidence, limits: Limits) -> Sequence[Conclusion]:
    """``no_telemetry`` INCONCLUSIVE for a GPU that was measured and hardly seen; ``nothing_verified`` ERROR."""
    own: defaultdict[str, list[Measurement]] = defaultdict(list)
    for found in evidence.measurements:
        own[found.device].append(found)
    verified: Counter[tuple[str, str]] = Counter()
    for counted in evidence.counted:
        if counted.burn == "gemm" and counted.what == "products":
            verified[counted.device, counted.case] += counted.count
    return [
        conclusion
        for device in evidence.devices
        for conclusion in (
            _unwatched(evidence, device, own[device.name], limits),
            _unverified(evidence, device, own[device.name], verified),
        )
        if conclusion
    ]


def _unwatched(
    evidence: NodeEvidence, device: DeviceInfo, own: Sequence[Measurement], limits: Limits
) -> Conclusion | None:
    """A lost GPU has a judge of its own. A very short run needs one reading."""
    readings = evidence.gpu_readings.get(device.name, ())
    ends = [point.at_seconds for m in own for point in m.series]
    if device.kind == "cpu" or not ends or any(reading.lost for reading in readings):
        return None
    seconds = max(ends) - min(ends)
    needed = max(1, floor(seconds * limits.telemetry_readings_per_second))
    num_seen = sum(_says_something(reading) for reading in readings)
    if num_seen >= needed:
        return None
    return conclude(
        evidence,
        device.name,
        "no_telemetry",
        Verdict.INCONCLUSIVE,
        f"{device.name} was measured for {show_duration(seconds)} with {count_of(num_seen, 'reading')} of NVML, at "
        f"least {needed:,} needed: whether it was hot, throttled, lost memory or asked for a reset is not known",
        figures={"num_readings": num_seen, "num_needed": needed, "seconds": seconds},
        remedy="see that nvidia-smi works for this user; in a container, give it the utility capability "
        "(NVIDIA_DRIVER_CAPABILITIES=compute,utility), which brings libnvidia-ml.so.1",
    )


def _says_something(reading: GpuReading) -> bool:
    return any(getattr(reading, field) is not None for field in _SEEN)


def _unverified(
    evidence: NodeEvidence, device: DeviceInfo, own: Sequence[Measurement], verified: Mapping[tuple[str, str], int]
) -> Conclusion | None:
    """Not of an interrupted run, nor of a format whose burn broke: both are told, and why nothing was counted too."""
    if evidence.interrupted:
        return None
    without = [
        m.case for m in own if m.burn == "gemm" and not verified.get((device.name, m.case)) and not _broke(evidence, m)
    ]
    if not without:
        return None
    return conclude(
        evidence,
        device.name,
        "nothing_verified",
        Verdict.ERROR,
        f"gemm {', '.join(without)} on {device.name} gave a rate, but none of its products was verified",
        figures={"burn": "gemm", "cases": without},
        remedy="give --duration more time; if it stays, report it as a fault of the tool",
        burn="gemm",
    )


def _broke(evidence: NodeEvidence, found: Measurement) -> bool:
    return any(
        problem.verdict is not Verdict.SKIPPED
        and problem.device in ("", found.device)
        and problem.burn == found.burn
        and problem.case in ("", found.case)
        for problem in evidence.problems
    )
