"""A GPU too hot, or too close to slowing down, before it does.

HBM slows down at about 95 C without any reason bit (operators' reports; threshold in `fryer.parts`). The margin is
NVML's own: degrees to the nearest slowdown threshold (`nvmlDeviceGetMarginTemperature`), so no limit is hard-coded.
"""

from collections.abc import Sequence

from fryer.evidence import DeviceInfo, NodeEvidence
from fryer.judges.conclusion import Conclusion, burn_at, conclude
from fryer.judges.limits import Limits
from fryer.parts import find_part
from watchdog.vocabulary.verdicts import Verdict

_REMEDY = "check airflow, fans or coolant and the heat sink's seating; compare with its neighbours"


def judge(evidence: NodeEvidence, limits: Limits) -> Sequence[Conclusion]:
    """``hbm_hot`` and ``thermal_margin``, both WARN: what heat costs is judged by throttling and by the figures."""
    return [
        conclusion
        for device in evidence.devices
        for conclusion in (_memory(evidence, device), _margin(evidence, device, limits))
        if conclusion
    ]


def _memory(evidence: NodeEvidence, device: DeviceInfo) -> Conclusion | None:
    part = find_part(device.part)
    known = [
        (r.memory_temperature_celsius, r.at_seconds)
        for r in evidence.gpu_readings.get(device.name, ())
        if r.memory_temperature_celsius is not None
    ]
    if not part or part.memory_warn_celsius is None or not known:
        return None
    hottest, at_seconds = max(known)
    if hottest < part.memory_warn_celsius:
        return None
    share = sum(value >= part.memory_warn_celsius for value, _ in known) / len(known)
    return conclude(
        evidence,
        device.name,
        "hbm_hot",
        Verdict.WARN,
        f"the memory of {device.name} reached {hottest:.0f} C, limit {part.memory_warn_celsius:.0f} C "
        f"({share:.0%} of looks)",
        figures={
            "hottest_celsius": hottest,
            "warn_celsius": part.memory_warn_celsius,
            "share_ratio": share,
            "source": part.memory_warn_source,
        },
        remedy=_REMEDY,
        burn=burn_at(evidence, device.name, at_seconds),
    )


def _margin(evidence: NodeEvidence, device: DeviceInfo, limits: Limits) -> Conclusion | None:
    known = [
        (r.temperature_margin_celsius, r.at_seconds)
        for r in evidence.gpu_readings.get(device.name, ())
        if r.temperature_margin_celsius is not None
    ]
    if not known:
        return None
    least, at_seconds = min(known)
    if least > limits.margin_warn_celsius:
        return None
    return conclude(
        evidence,
        device.name,
        "thermal_margin",
        Verdict.WARN,
        f"{device.name} came within {least:.0f} C of slowing itself down, limit {limits.margin_warn_celsius:.0f} C",
        figures={"least_margin_celsius": least, "warn_celsius": limits.margin_warn_celsius},
        remedy=_REMEDY,
        burn=burn_at(evidence, device.name, at_seconds),
    )
