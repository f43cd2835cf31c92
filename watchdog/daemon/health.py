"""How collectors are doing, in the words of readings: what `stale_collector` judges."""

from collections.abc import Mapping, Sequence

from watchdog.state import CollectorState
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject


def health_rows(
    node: str, states: Sequence[CollectorState], now: float
) -> tuple[tuple[Row, ...], Mapping[Subject, Mapping[str, object]]]:
    """A row and a fact for each collector whose source this machine has."""
    rows: list[Row] = []
    facts: dict[Subject, Mapping[str, object]] = {}
    for state in states:
        if state.is_missing:
            continue
        subject = Subject(node, "process", f"collector:{state.name}")
        values: dict[str, float] = {"success": 0.0 if state.last_error else 1.0}
        if state.duration_seconds is not None:
            values["duration_seconds"] = state.duration_seconds
        if state.num_calls or state.last_error:
            rows.append(Row(subject=subject, at=now, values=values))
        facts[subject] = {"period_seconds": state.period_seconds}
    return tuple(rows), facts
