"""A busy machine told apart from a slow one: a processor whose time others took proves nothing by being slow.

Only processors: the products of a GPU do not wait for the host once they are queued.
"""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from fryer.evidence import Measurement, NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude, devices_by_name
from fryer.judges.limits import Limits
from watchdog.collectors.readings import HostReading
from watchdog.vocabulary.verdicts import Verdict

EXCUSED = frozenset({"below_floor", "below_node", "below_own_past", "below_fleet", "not_steady", "stutter"})
"""Reasons that a busy machine explains."""
_REMEDY = "end what else runs on the machine, or take it out of its queue, and repeat"


def judge(evidence: NodeEvidence, limits: Limits) -> Sequence[Conclusion]:
    """``busy_host`` WARN on each processor that was measured while others used it: its figures are lower bounds."""
    conclusions = []
    for device in evidence.devices:
        if device.kind != "cpu":
            continue
        during = [
            host for m in evidence.measurements if m.device == device.name if (host := _busy(evidence, m, limits))
        ]
        if during:
            worst = max(during, key=lambda host: host["others_ratio"] or 0.0)
            conclusions.append(
                conclude(
                    evidence,
                    device.name,
                    "busy_host",
                    Verdict.WARN,
                    f"{_show(worst)} while {device.name} was measured: its figures are lower bounds",
                    figures={**worst, "num_measurements": len(during)},
                    remedy=_REMEDY,
                )
            )
    return conclusions


def excuse(evidence: NodeEvidence, conclusions: Sequence[Conclusion], limits: Limits) -> list[Conclusion]:
    """The conclusions, with those that a busy machine explains turned into INCONCLUSIVE ``busy_host``."""
    devices = devices_by_name(evidence)
    measurements = {(m.device, m.burn, m.case): m for m in evidence.measurements}
    return [
        _excused(evidence, c, found, limits)
        if c.reason.code in EXCUSED
        and c.reason.verdict is not Verdict.PASS
        and c.device in devices
        and devices[c.device].kind == "cpu"
        and (
            found := measurements.get(
                (c.device, str(c.reason.evidence.get("burn")), str(c.reason.evidence.get("case")))
            )
        )
        else c
        for c in conclusions
    ]


def _excused(evidence: NodeEvidence, conclusion: Conclusion, found: Measurement, limits: Limits) -> Conclusion:
    host = _busy(evidence, found, limits)
    if host is None:
        return conclusion
    reason = conclusion.reason
    return replace(
        conclusion,
        reason=replace(
            reason,
            code="busy_host",
            verdict=Verdict.INCONCLUSIVE,
            message=f"{reason.message}; but {_show(host)}",
            evidence={**reason.evidence, **host, "instead_of": reason.code},
            remedy=_REMEDY,
        ),
    )


def _busy(evidence: NodeEvidence, found: Measurement, limits: Limits) -> dict[str, float | None] | None:
    """Medians over the readings during the series, when they tell of a busy machine; None when it was quiet."""
    begin, end = (found.series[0].at_seconds - 1, found.series[-1].at_seconds) if found.series else (0.0, 0.0)
    readings = [r for r in evidence.host_readings if begin <= r.at_seconds <= end] or list(evidence.host_readings)
    host = {field: _median(readings, field) for field in ("others_ratio", "steal_ratio", "pressure_some_ratio")}
    others, steal, pressure = host.values()
    is_blind = others is None and steal is None
    is_busy = (
        (others or 0.0) > limits.busy_others_ratio
        or (steal or 0.0) > limits.busy_steal_ratio
        or (is_blind and (pressure or 0.0) > limits.busy_pressure_ratio)
    )
    return host if is_busy else None


def _median(readings: Sequence[HostReading], field: str) -> float | None:
    known = [value for r in readings if (value := getattr(r, field)) is not None]
    return median(known) if known else None


def _show(host: dict[str, float | None]) -> str:
    words = {
        "others_ratio": "other processes took {:.0%} of the processors",
        "steal_ratio": "the hypervisor gave {:.0%} of them to other machines",
        "pressure_some_ratio": "some task waited for a processor {:.0%} of the time",
    }
    return ", ".join(text.format(value) for field, text in words.items() if (value := host[field]) is not None)
