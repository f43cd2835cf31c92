"""How collectors are doing, in the words of readings and findings: what is not seen is unknown, never healthy."""

from collections.abc import Mapping, Sequence

from watchdog.state import CollectorState
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject

NEEDED = {
    "nvml": "nothing is known of GPUs; on a node with NVIDIA GPUs load the driver, else turn [watchdog.pace.nvml] off",
    "kmsg": "nothing is known of Xids and other kernel errors; run as root, or name a log with --kmsg",
}
"""Collectors whose source every node that trains has: without it the node is unknown, and what to do about that."""
_COUNTED = {"nvml_restarts_total": "nvml_restarts_total", "lost_records_total": "kmsg_lost_records_total"}
"""Counters that collectors give as readings, and their names among the daemon's own."""


def health_rows(
    node: str, states: Sequence[CollectorState], now: float, started_at: float
) -> tuple[tuple[Row, ...], Mapping[Subject, Mapping[str, object]]]:
    """A row at the time of the last success (or of the failing look), and a fact, for each collector."""
    rows: list[Row] = []
    facts: dict[Subject, Mapping[str, object]] = {}
    for state in states:
        subject = Subject(node, "process", f"collector:{state.name}")
        facts[subject] = {
            "period_seconds": state.period_seconds,
            "is_missing": state.is_missing,
            "started_at": started_at,
        }
        if state.is_missing or not (state.num_calls or state.last_error):
            continue
        values: dict[str, float] = {"success": 0.0 if state.last_error else 1.0}
        if state.duration_seconds is not None:
            values["duration_seconds"] = state.duration_seconds
        at = now if state.last_error or state.last_success_at is None else state.last_success_at
        rows.append(Row(subject=subject, at=at, values=values))
    return tuple(rows), facts


def unseen(node: str, states: Sequence[CollectorState], now: float) -> dict[str, Finding | None]:
    """By name of a needed collector: the finding that its source is missing, or None."""
    return {
        state.name: Finding(
            source="daemon",
            subject=Subject(node, "process", f"collector:{state.name}"),
            severity=Severity.UNKNOWN,
            code=f"{state.name}_missing",
            message=f"{state.last_error}: {NEEDED[state.name]}",
            action="inspect",
            since=now,
        )
        if state.is_missing
        else None
        for state in states
        if state.name in NEEDED
    }


def counted(newest: Mapping[Subject, Row]) -> dict[str, float]:
    """The daemon's counters among the newest readings."""
    found: dict[str, float] = {}
    for row in newest.values():
        for metric, name in _COUNTED.items():
            if metric in row.values:
                found[name] = found.get(name, 0.0) + row.values[metric]
    return found
