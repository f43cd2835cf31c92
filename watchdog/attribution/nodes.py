"""What nodes said near an event in time: their incidents, and readings that changed. Times are Unix seconds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from watchdog.vocabulary.families import Family, family_of
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.incidents import Incident
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject

BEFORE_SECONDS, AFTER_SECONDS = 600.0, 120.0
"""Near: a fault is in force from a little before; what polls once a minute tells it a little after (ours)."""
USUAL_SECONDS = 3600.0
"""What a reading usually is, is the median of so long before that (ours)."""
LEAST_READINGS = 5
"""Fewer say nothing of what is usual (as `storage_slow`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A metric whose change explains a slow step."""

    cause: str
    words: str
    ratio: float
    """Changed from here on: over 1 a rise, below 1 a fall. Counters are compared by their growth."""
    is_counter: bool = False
    floor: float = 0.0
    """Less than this is nothing, whatever it was before."""


WATCHED = {
    "read_latency_seconds": Watched(cause="storage", words="read latency on", ratio=3.0, floor=0.01),
    "write_latency_seconds": Watched(cause="storage", words="write latency on", ratio=3.0, floor=0.01),
    "metadata_latency_seconds": Watched(cause="storage", words="metadata latency on", ratio=3.0, floor=0.01),
    "sm_clock_hertz": Watched(cause="gpu", words="SM clock of", ratio=0.9),
    "thermal_throttle_seconds": Watched(
        cause="gpu", words="thermal slowdown of", ratio=2.0, is_counter=True, floor=5.0
    ),
    "power_brake_seconds": Watched(cause="gpu", words="power brake of", ratio=2.0, is_counter=True, floor=1.0),
    "symbol_errors_total": Watched(cause="network", words="symbol errors of", ratio=10.0, is_counter=True, floor=10.0),
    "link_error_recovery_errors_total": Watched(
        cause="network", words="link recoveries of", ratio=2.0, is_counter=True, floor=1.0
    ),
    "link_downed_total": Watched(cause="network", words="links down of", ratio=2.0, is_counter=True, floor=1.0),
}
"""Ratios are ours: latencies of shared storage vary by 2; clocks of a loaded GPU by some percent."""

_CAUSES = {
    Family.GONE: "gpu",
    Family.MEMORY: "gpu",
    Family.DRIVER: "gpu",
    Family.SILENCE: "gpu",
    Family.BUS: "gpu",
    Family.VERDICT: "gpu",
    Family.SYMPTOM: "gpu",
    Family.LINK: "network",
    Family.NIC: "network",
    Family.HOST: "host",
    Family.KILL: "host",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something on a node changed near an event."""

    cause: str
    """``storage gpu network host``."""
    subject: Subject
    at: float
    """When, Unix seconds."""
    message: str
    """What, without the time: ``read latency on /scratch rose 12x (0.02 to 0.24 s)``."""
    is_grave: bool = False


def changes_near(rows: Iterable[Row], at: float) -> tuple[list[Change], frozenset[str]]:
    """(readings that changed near `at`, causes of which there were readings: silence is told from calm)."""
    series: dict[tuple[Subject, str], list[tuple[float, float]]] = {}
    for row in rows:
        for metric in row.values.keys() & WATCHED.keys():
            if at - BEFORE_SECONDS - USUAL_SECONDS <= row.at <= at + AFTER_SECONDS:
                series.setdefault((row.subject, metric), []).append((row.at, row.values[metric]))
    found, seen = [], set()
    for (subject, metric), readings in sorted(series.items()):
        watched = WATCHED[metric]
        values = _growth(sorted(readings)) if watched.is_counter else sorted(readings)
        before = [value for when, value in values if when < at - BEFORE_SECONDS]
        near = [(when, value) for when, value in values if when >= at - BEFORE_SECONDS]
        if len(before) < LEAST_READINGS or not near:
            continue
        seen.add(watched.cause)
        change = _change(watched, subject, median(before), near)
        if change is not None:
            found.append(change)
    return found, frozenset(seen)


def _growth(readings: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """A counter's readings as what was added since the one before; one that went back was reset."""
    return [(later[0], max(0.0, later[1] - sooner[1])) for sooner, later in pairwise(readings)]


def _change(watched: Watched, subject: Subject, usual: float, near: Sequence[tuple[float, float]]) -> Change | None:
    is_rise = watched.ratio > 1
    limit = max(watched.ratio * usual, watched.floor) if is_rise else watched.ratio * usual
    at = next((when for when, value in near if (value >= limit if is_rise else value <= limit)), None)
    if at is None:
        return None
    extreme = max(value for _, value in near) if is_rise else min(value for _, value in near)
    times = f"{extreme / usual:.3g}x" if is_rise and usual > 0 else f"to {extreme / usual:.0%}" if usual > 0 else ""
    verb = "rose" if is_rise else "fell"
    figures = f"{usual:.3g} to {extreme:.3g}"
    message = f"{watched.words} {_name(subject)} {verb} {times} ({figures})".replace("  ", " ")
    return Change(cause=watched.cause, subject=subject, at=at, message=message)


def incidents_near(incidents: Iterable[Incident], at: float) -> list[Change]:
    """Incidents that were in force near `at`, or were opened near it; none of a run's own, or of an application's."""
    found = []
    for incident in incidents:
        family = family_of(incident.root_code)
        ended = incident.closed_at if incident.closed_at is not None else float("inf")
        if family not in _CAUSES or incident.opened_at > at + AFTER_SECONDS or ended < at - BEFORE_SECONDS:
            continue
        cause = "storage" if incident.root_code.startswith(("storage", "disk", "nfs")) else _CAUSES[family]
        found.append(
            Change(
                cause=cause,
                subject=incident.root,
                at=incident.opened_at,
                message=incident.title,
                is_grave=incident.severity is Severity.FAIL,
            )
        )
    return found


def _name(subject: Subject) -> str:
    return subject.node if subject.kind == "node" else f"{subject.name} of {subject.node}"
