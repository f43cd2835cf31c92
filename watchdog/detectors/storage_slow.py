"""Storage that answers far more slowly than it does otherwise, hardly at all, or with an error.

Each path is compared with itself: the lower quartile of its own older probes, which a slow spell moves only once it
fills three quarters of the window, where a median moves at half.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from watchdog.detectors.held import held
from watchdog.detectors.reading import Thresholds, each, label
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Series, Window
from watchdog.vocabulary.subjects import Subject

CODES = ("storage_slow", "storage_silent", "storage_failed")
WAYS = ("read", "write", "metadata")


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
    """So slow, whatever its past, or silent for so long: a checkpoint of many files stops (ours; the kernel warns of a
    task at 120 s)."""


@dataclass(frozen=True, slots=True)
class _Slow:
    way: str
    seconds: float
    usual: float | None
    since: float


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """WARN against its own past, FAIL beyond an absolute limit or silent; WARN for a probe that fails again."""
    return [*_slow(window, limits), *_silent(window, limits), *_failed(window)]


def _slow(window: Window, limits: Limits) -> Iterator[Finding]:
    slowest: dict[Subject, _Slow] = {}
    for way in WAYS:
        for subject, series in each(window, f"{way}_latency_seconds"):
            found = _judge(limits, series, way)
            if found and (subject not in slowest or found.seconds > slowest[subject].seconds):
                slowest[subject] = found
    for subject, found in sorted(slowest.items(), key=lambda item: item[0]):
        times = f", {found.seconds / found.usual:.0f} times its own {found.usual:.3g} s" if found.usual else ""
        yield Finding(
            source="storage_slow",
            subject=subject,
            severity=Severity.FAIL if found.seconds >= limits.fail_seconds else Severity.WARN,
            code="storage_slow",
            message=f"a {found.way} probe of {label(window, subject)} takes {found.seconds:.3g} s{times}",
            action="inspect",
            since=found.since,
            evidence={"way": found.way, "latency_seconds": found.seconds, "usual_seconds": found.usual},
        )


def _judge(limits: Limits, series: Series, way: str) -> _Slow | None:
    if len(series.values) < limits.recent:
        return None
    newest = median(series.values[-limits.recent :])
    older = sorted(series.values[: -limits.recent])
    usual = older[len(older) // 4] if len(older) >= limits.before else None
    is_slow = usual is not None and newest >= max(limits.factor * usual, limits.least_seconds)
    if not is_slow and newest < limits.fail_seconds:
        return None
    return _Slow(way, newest, usual, series.at[-limits.recent])


def _silent(window: Window, limits: Limits) -> Iterator[Finding]:
    for subject, series in each(window, "storage_silent_seconds"):
        if series.newest >= limits.fail_seconds:
            yield Finding(
                source="storage_slow",
                subject=subject,
                severity=Severity.FAIL,
                code="storage_silent",
                message=f"{label(window, subject)} does not answer since {series.newest:.0f} s: a mount that hangs",
                action="inspect",
                since=series.at[-1] - series.newest,
                evidence={"silent_seconds": series.newest, "limit_seconds": limits.fail_seconds},
            )


def _failed(window: Window) -> Iterator[Finding]:
    """A folder that is missing or not ours fails the probe too, so it is no more than a warning."""
    for subject, series in each(window, "probe_failed"):
        state = held(series, lambda value: value > 0)
        if state is not None and state.seconds > 0:
            error = str(window.facts.get(subject, {}).get("probe_error", ""))
            yield Finding(
                source="storage_slow",
                subject=subject,
                severity=Severity.WARN,
                code="storage_failed",
                message=f"no small file can be written to {label(window, subject)} and read back: {error or 'why?'}",
                action="inspect",
                since=state.since,
                evidence={"seconds": state.seconds, "error": error},
            )
