"""A collector that has not succeeded for several of its periods: what it would have seen is UNKNOWN, never healthy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from watchdog.detectors.reading import Thresholds, number
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Window
from watchdog.vocabulary.subjects import Subject

CODES = ("collector_stale",)
PREFIX = "collector:"
PERIOD, MISSING, STARTED = "period_seconds", "is_missing", "started_at"
"""Facts of a collector: its period (0: it waits for events and returns each second), whether this machine has no such
source, and when it was started (Unix seconds)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    periods: float = 3.0
    """Periods without a success."""
    least_seconds: float = 30.0
    """And at least so long: a busy machine delays short periods (ours)."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """UNKNOWN for each collector without a success for too long, also for one that never had any."""
    return list(_stale(window, limits))


def _stale(window: Window, limits: Limits) -> Iterator[Finding]:
    calls = window.series("success")
    known = {*calls, *(subject for subject, facts in window.facts.items() if PERIOD in facts)}
    for subject in sorted(s for s in known if s.kind == "process" and s.name.startswith(PREFIX)):
        if window.facts.get(subject, {}).get(MISSING):
            continue
        period = number(window, subject, PERIOD) or 0.0
        limit = max(limits.periods * period, limits.least_seconds)
        succeeded_at = _last_success(window, subject)
        begun = _begun(window, subject) if succeeded_at is None else succeeded_at
        if begun is None or window.now - begun > limit:
            yield _finding(window, subject, succeeded_at, begun, limit)


def _last_success(window: Window, subject: Subject) -> float | None:
    series = window.series("success").get(subject)
    if series is None:
        return None
    pairs = zip(reversed(series.at), reversed(series.values), strict=True)
    return next((at for at, success in pairs if success > 0), None)


def _begun(window: Window, subject: Subject) -> float | None:
    """When a collector without a success began: its start, else its first call; None where neither is known."""
    started = number(window, subject, STARTED)
    series = window.series("success").get(subject)
    return series.at[0] if started is None and series is not None else started


def _finding(
    window: Window, subject: Subject, succeeded_at: float | None, begun: float | None, limit: float
) -> Finding:
    name = subject.name.removeprefix(PREFIX)
    series = window.series("success").get(subject)
    what = "does not return" if series is None or window.now - series.at[-1] > limit else "fails"
    ago = "in all of this window" if begun is None else f"for {window.now - begun:.0f} s"
    return Finding(
        source="stale_collector",
        subject=subject,
        severity=Severity.UNKNOWN,
        code="collector_stale",
        message=f"collector {name} {what}: no success {ago}, limit {limit:.0f} s; what it reads is not known",
        action="inspect",
        since=window.now if begun is None else begun,
        evidence={"last_success_at": succeeded_at, "limit_seconds": limit},
    )
