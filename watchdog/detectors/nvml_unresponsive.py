"""NVML that does not answer: a wedged GPU blocks a call for 6 to 45 s, or for ever.

The reader leaves a GPU that blocked out of its looks, and says at each of them how long it has been silent; 0 for one
that answered. Where no GPU is to blame (a reader that was stopped, or does not start), the hardware may be well:
UNKNOWN first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from watchdog.detectors.reading import Thresholds, each, label
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Series, Window
from watchdog.vocabulary.subjects import Subject

CODES = ("nvml_unresponsive",)
METRIC = "nvml_silent_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    silent_seconds: float = 2.5
    """Healthy calls take a millisecond or two, the reader's longest wait for one look is 3 s, and a wedged GSP blocks
    6 s and more (driver source); with looks each second and judges each 5 s it is told within 10 s."""
    node_fail_seconds: float = 90.0
    """The reader as a whole: it is replaced at once, and NVML without persistence mode takes up to a minute to start;
    silent for longer, it is the driver (ours)."""
    seen_seconds: float = 30.0
    """A silence that ended, by itself or with a new reader, is told for so long (ours)."""
    fresh_seconds: float = 60.0
    """An older word about a silence says nothing of now: the collector's own silence is `stale_collector`'s."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """FAIL for a GPU silent beyond its limit; for the reader as a whole UNKNOWN, and FAIL after a while."""
    return [
        _finding(window, limits, subject, *told)
        for subject, series in each(window, METRIC)
        if (told := _told(series, window.now, limits)) is not None
    ]


def _told(series: Series, now: float, limits: Limits) -> tuple[float, float] | None:
    """When a silence beyond the limit was told last, and how long it was: one that goes on, or that ended just now."""
    if series.newest >= limits.silent_seconds:
        return (series.at[-1], series.newest) if now - series.at[-1] <= limits.fresh_seconds else None
    lately = series.since(now - limits.seen_seconds)
    silent = [(at, s) for at, s in zip(lately.at, lately.values, strict=True) if s >= limits.silent_seconds]
    return max(silent, key=lambda one: one[1]) if silent else None


def _finding(window: Window, limits: Limits, subject: Subject, at: float, seconds: float) -> Finding:
    is_gpu = subject.kind == "gpu"
    severity = Severity.FAIL if is_gpu or seconds >= limits.node_fail_seconds else Severity.UNKNOWN
    who = label(window, subject) if is_gpu else f"any GPU of {subject.node}"
    return Finding(
        source="nvml_unresponsive",
        subject=subject,
        severity=severity,
        code="nvml_unresponsive",
        message=f"NVML does not answer for {who} since {seconds:.0f} s",
        action="reset_gpu" if is_gpu else "inspect",
        since=at - seconds,
        evidence={"silent_seconds": seconds, "limit_seconds": limits.silent_seconds},
    )
