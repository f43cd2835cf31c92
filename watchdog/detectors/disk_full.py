"""A disk that is full, or will be soon: by what is left, and by a straight line through the last minutes.

A checkpoint that is written in a burst must not look like a leak, so the line's slope is the smaller of the slopes of
the two halves of the time: what fills a disk goes on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from watchdog.detectors.held import held
from watchdog.detectors.reading import Thresholds, each, label
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Series, Window
from watchdog.vocabulary.subjects import Subject
from watchdog.vocabulary.units import show_quantity

CODES = ("disk_full", "disk_inodes_full", "disk_full_soon")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    warn_free_ratio: float = 0.05
    """Free share of bytes or inodes (node_exporter's mixin: NodeFilesystemAlmostOutOfSpace, warning at 5 %)."""
    fail_free_ratio: float = 0.01
    """Free share (ours): a checkpoint no longer fits."""
    warn_hours: float = 24.0
    """Full within so many hours (node_exporter's mixin: NodeFilesystemSpaceFillingUp, warning)."""
    fail_hours: float = 1.0
    """Full within so many hours (ours; the mixin's critical is 4 h and goes to a person, not to a scheduler)."""
    least_seconds: float = 600.0
    """A line needs readings over so long (ours)."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """WARN and FAIL below a floor, and by the hours that are left at the present pace."""
    floors = [*_floor(window, limits, "bytes"), *_floor(window, limits, "inodes")]
    return [*floors, *_forecast(window, limits)]


def _floor(window: Window, limits: Limits, unit: str) -> Iterator[Finding]:
    totals = window.newest(f"total_{unit}")
    for subject, series in each(window, f"free_{unit}"):
        total = totals.get(subject, 0.0)
        ratio = series.newest / total if total > 0 else 1.0
        if ratio > max(limits.warn_free_ratio, limits.fail_free_ratio):
            continue
        is_fail = ratio <= limits.fail_free_ratio
        state = held(series, lambda value, total=total: value <= limits.warn_free_ratio * total)  # type: ignore[misc]
        yield Finding(
            source="disk_full",
            subject=subject,
            severity=Severity.FAIL if is_fail else Severity.WARN,
            code="disk_full" if unit == "bytes" else "disk_inodes_full",
            message=f"{label(window, subject)} has {ratio:.1%} of its {unit} free, "
            f"{show_quantity(series.newest, unit)}; warned from "
            f"{limits.warn_free_ratio:.0%}, failed from {limits.fail_free_ratio:.0%}",
            action="inspect",
            since=state.since if state else series.at[-1],
            evidence={f"free_{unit}": series.newest, f"total_{unit}": total, "free_ratio": ratio},
        )


def _forecast(window: Window, limits: Limits) -> Iterator[Finding]:
    for subject, series in each(window, "free_bytes"):
        if series.at[-1] - series.at[0] < limits.least_seconds:
            continue
        pace = _pace(series)
        hours = series.newest / pace / 3600 if pace > 0 else float("inf")
        if hours <= max(limits.warn_hours, limits.fail_hours):
            yield _soon(window, limits, subject, series, pace)


def _soon(window: Window, limits: Limits, subject: Subject, series: Series, pace: float) -> Finding:
    hours = series.newest / pace / 3600
    return Finding(
        source="disk_full",
        subject=subject,
        severity=Severity.FAIL if hours <= limits.fail_hours else Severity.WARN,
        code="disk_full_soon",
        message=f"{label(window, subject)} is full in {hours:.1f} h at the present pace, {series.newest / 1e9:.1f} GB "
        "are left",
        action="inspect",
        since=series.at[0],
        evidence={"free_bytes": series.newest, "hours": hours, "bytes_per_second": pace},
    )


def _pace(series: Series) -> float:
    """Bytes a second that both halves of the time lose at least; 0 or less where one of them does not."""
    middle = (series.at[0] + series.at[-1]) / 2
    split = next(index for index, at in enumerate(series.at) if at >= middle)
    halves = ((0, split), (split, len(series.at) - 1))
    return min(
        (series.values[first] - series.values[last]) / (series.at[last] - series.at[first])
        for first, last in halves
        if last > first
    )
