"""A GPU that is busy and does nothing: the picture of ranks that spin inside a collective which will not end.

All at once for a while: power near idle, SM clock near its highest, SM utilisation near 100 %, memory and PCIe hardly
used. The figures are sichek's for H100, as shares of the GPU's own limits. It shows long before NCCL's timeout of 10 to
30 minutes. Steps that still end on this node disprove it; without PCIe figures it stays a warning.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from watchdog.detectors.held import Held, held, together
from watchdog.detectors.reading import Thresholds, each, label, number
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Series, Window
from watchdog.vocabulary.subjects import Subject

CODES = ("gpu_stuck",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    power_ratio: float = 0.23
    """Of the power limit, at most: sichek's 160 of 700 W."""
    clock_ratio: float = 0.95
    """Of the highest SM clock, at least: sichek's 1900 of 1980 MHz."""
    busy_ratio: float = 0.95
    """SM utilisation, at least (sichek)."""
    memory_ratio: float = 0.05
    """Memory utilisation, below (sichek)."""
    pcie_bytes_per_second: float = 300e6
    """PCIe traffic each way, below (sichek)."""
    warn_seconds: float = 60.0
    """How long (sichek)."""
    fail_seconds: float = 110.0
    """How long: sichek confirms its 60 s five times, each 10 s later."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """WARN and then FAIL for each GPU in the picture; nothing for one that lacks a figure."""
    return [
        finding
        for subject, series in each(window, "utilization_ratio")
        if series.newest >= limits.busy_ratio and (finding := _judge(window, limits, subject))
    ]


def _judge(window: Window, limits: Limits, subject: Subject) -> Finding | None:
    parts: list[Held | None] = []
    for part in _picture(window, limits, subject):
        if part is None:  # the power of a GPU at work settles it, without a look at the rest
            return None
        parts.append(part)
    state = together(*parts)
    if state is None or state.seconds < limits.warn_seconds or _steps_end(window, subject.node, state):
        return None
    traffic = {way: rate for way in ("rx", "tx") if (rate := _pcie(window, subject, way, state.since)) is not None}
    if any(rate >= limits.pcie_bytes_per_second for rate in traffic.values()):
        return None
    is_fail = state.seconds >= limits.fail_seconds and len(traffic) == 2
    return Finding(
        source="gpu_stuck",
        subject=subject,
        severity=Severity.FAIL if is_fail else Severity.WARN,
        code="gpu_stuck",
        message=f"{label(window, subject)} is busy and does nothing for {state.seconds:.0f} s: "
        f"{window.series('power_watts')[subject].newest:.0f} W at full clock and utilisation, memory idle; "
        "a collective that does not end",
        action="restart_app",
        since=state.since,
        evidence={"seconds": state.seconds, **_evidence(window, subject, traffic)},
    )


def _picture(window: Window, limits: Limits, subject: Subject) -> Iterator[Held | None]:
    """Each part of the picture; None for one that does not hold or is not known."""
    power = number(window, subject, "power_limit_watts")
    clock = number(window, subject, "sm_clock_max_hertz")
    if power is None or clock is None:
        yield None
        return
    most_watts, least_hertz = limits.power_ratio * power, limits.clock_ratio * clock
    tests = {
        "power_watts": lambda value: value <= most_watts,
        "sm_clock_hertz": lambda value: value >= least_hertz,
        "utilization_ratio": lambda value: value >= limits.busy_ratio,
        "memory_utilization_ratio": lambda value: value < limits.memory_ratio,
    }
    for metric, test in tests.items():
        series = window.series(metric).get(subject)
        yield held(series, test) if series else None


def _steps_end(window: Window, node: str, state: Held) -> bool:
    """Whether a run on this node finished a step meanwhile."""
    return any(
        subject.node == node and _grew(series, state.since)
        for subject, series in window.series("step").items()
        if subject.kind in ("run", "rank")
    )


def _grew(series: Series, since: float) -> bool:
    values = series.since(since).values
    return len(values) > 0 and max(values) > min(values)


def _pcie(window: Window, subject: Subject, way: str, since: float) -> float | None:
    """The most traffic meanwhile; None where it is not read."""
    rates = window.series(f"pcie_{way}_bytes_per_second").get(subject)
    values = rates.since(since).values if rates else ()
    return max(values) if values else None


def _evidence(window: Window, subject: Subject, traffic: Mapping[str, float]) -> dict[str, object]:
    metrics = ("power_watts", "sm_clock_hertz", "utilization_ratio", "memory_utilization_ratio")
    return {
        **{metric: window.series(metric)[subject].newest for metric in metrics},
        **{f"pcie_{way}_bytes_per_second": rate for way, rate in traffic.items()},
    }
