"""Copies between host and device slower than the slowest link of their path allows.

The limit comes from the path that was found, not from the product: a Gen4 x8 leg makes 14 GB/s healthy.
"""

from collections.abc import Sequence

from fryer.evidence import DeviceInfo, Measurement, NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude, devices_by_name, show_rate, what
from fryer.judges.limits import Limits
from fryer.parts import practical_link_rate
from watchdog.vocabulary.verdicts import Verdict

_ONE_WAY = ("h2d", "d2h")


def judge(evidence: NodeEvidence, limits: Limits) -> Sequence[Conclusion]:
    """``slow_link`` for each direction below a share of what that link gives in practice."""
    devices = devices_by_name(evidence)
    return [
        conclusion
        for found in evidence.measurements
        if found.burn == "pcie"
        and found.case in _ONE_WAY
        and (device := devices.get(found.device))
        and (conclusion := _compare(evidence, found, device, limits))
    ]


def _compare(evidence: NodeEvidence, found: Measurement, device: DeviceInfo, limits: Limits) -> Conclusion | None:
    if device.link_bytes_per_second is None:
        return None
    expected = practical_link_rate(device.link_bytes_per_second)
    ratio = found.value / expected
    if ratio >= limits.link_warn_ratio:
        return None
    return conclude(
        evidence,
        found.device,
        "slow_link",
        Verdict.FAIL if ratio < limits.link_fail_ratio else Verdict.WARN,
        f"{what(found)} reached {show_rate(found.value, found.metric)}, {ratio:.0%} of the "
        f"{show_rate(expected, found.metric)} that {device.link or 'its link'} gives in practice",
        figures={
            "burn": found.burn,
            "case": found.case,
            "metric": found.metric,
            "value": found.value,
            "expected": expected,
            "ratio": ratio,
            "link": device.link,
            "link_bytes_per_second": device.link_bytes_per_second,
            "warn_ratio": limits.link_warn_ratio,
            "fail_ratio": limits.link_fail_ratio,
        },
        remedy="check lspci -vv for a degraded link and for AER errors, the processor affinity, IOMMU and ACS; reseat",
        burn=found.burn,
    )
