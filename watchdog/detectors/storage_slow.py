"""Storage that answers far more slowly than it does otherwise, or hardly at all.

Each path is compared with itself: the lower quartile of its own older probes, which a slow spell moves only once it
fills three quarters of the window, where a median moves at half.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from watchdog.detectors.reading import Thresholds, each, label
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Series, Window
from watchdog.vocabulary.subjects import Subject

CODES = ("storage_slow",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    recent: int = 3
    """The median of so many newest probes is judged: one slow probe is a hiccup (ours)."""
    before: int = 5
    """Older probes that a comparison needs (ours)."""
    factor: float = 10.0
    """Slower than its own past by this (ours): caches and the other tenants of a file system make 2 to 5."""
    least_seconds: float = 0.25
    """And at least so slow: below it no step notices (ours)."""
    fail_seconds: float = 10.0
    """So slow, whatever its past: a checkpoint of many files stops (ours; the kernel warns of a task at 120 s)."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """WARN against its own past, FAIL beyond an absolute limit; by reads and by writes."""
    return [
        finding
        for way in ("read", "write")
        for subject, series in each(window, f"{way}_latency_seconds")
        if (finding := _judge(window, limits, subject, series, way))
    ]


def _judge(window: Window, limits: Limits, subject: Subject, series: Series, way: str) -> Finding | None:
    if len(series.values) < limits.recent:
        return None
    newest = median(series.values[-limits.recent :])
    older = sorted(series.values[: -limits.recent])
    usual = older[len(older) // 4] if len(older) >= limits.before else None
    is_slow = usual is not None and newest >= max(limits.factor * usual, limits.least_seconds)
    is_fail = newest >= limits.fail_seconds
    if not is_slow and not is_fail:
        return None
    against = "" if usual is None else f", {newest / usual:.0f} times its own {usual:.3g} s" if usual > 0 else ""
    return Finding(
        source="storage_slow",
        subject=subject,
        severity=Severity.FAIL if is_fail else Severity.WARN,
        code="storage_slow",
        message=f"a {way} on {label(window, subject)} takes {newest:.3g} s{against}",
        action="inspect",
        since=series.at[-limits.recent],
        evidence={"way": way, "latency_seconds": newest, "usual_seconds": usual, "fail_seconds": limits.fail_seconds},
    )
