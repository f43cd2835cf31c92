"""The published state as documents. Pure."""

from collections.abc import Mapping
from typing import cast

from watchdog.api.documents import (
    CollectorPart,
    CountPart,
    FindingPart,
    HealthDocument,
    IncidentPart,
    RowPart,
    RunPart,
    SeverityWord,
    SignalPart,
    StateDocument,
)
from watchdog.state import State
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.signals import Signal

_EXIT_CODES = {Severity.OK: 0, Severity.WARN: 0, Severity.FAIL: 1, Severity.UNKNOWN: 3}


def state_document(state: State) -> StateDocument:
    """All of it."""
    return StateDocument(
        node=state.node,
        at=state.at,
        started_at=state.started_at,
        daemon=state.version,
        severity=cast(SeverityWord, state.severity.name),
        findings=tuple(map(FindingPart.model_validate, state.findings)),
        incidents=tuple(map(IncidentPart.model_validate, state.incidents)),
        signal=signal_part(state.signal),
        rows=tuple(map(RowPart.model_validate, state.rows.values())),
        facts={str(subject): facts for subject, facts in state.facts.items()},
        collectors=tuple(map(CollectorPart.model_validate, state.collectors)),
        runs=tuple(map(RunPart.model_validate, state.runs)),
        xid_counts=_counts(state.xid_counts),
        sxid_counts=_counts(state.sxid_counts),
        counters=state.counters,
    )


def health_document(state: State, now: float, stale_seconds: float) -> HealthDocument:
    """What the node is at `now`. A state that is too old says nothing more: UNKNOWN, unless it was FAIL."""
    age = max(0.0, now - state.at)
    is_stale = age > stale_seconds and state.severity is not Severity.FAIL
    severity = Severity.UNKNOWN if is_stale else state.severity
    return HealthDocument.model_validate(
        {
            "node": state.node,
            "at": state.at,
            "age_seconds": age,
            "severity": severity,
            "exit_code": _EXIT_CODES[severity],
            "num_findings": len(state.findings),
        }
    )


def signal_for(state: State, run: str, now: float) -> Signal | None:
    """The signal that `run` is to see at `now`: neither expired nor for another run."""
    signal = state.signal
    if signal is None or signal.expires_at <= now or (signal.run and run and signal.run != run):
        return None
    return signal


def signal_part(signal: Signal | None) -> SignalPart | None:
    """As a part of a document."""
    return None if signal is None else SignalPart.model_validate(signal)


def _counts(counts: Mapping[tuple[str, int], tuple[int, float]]) -> tuple[CountPart, ...]:
    return tuple(
        CountPart(where=where, code=code, count=count, last_at=last_at)
        for (where, code), (count, last_at) in sorted(counts.items())
    )
