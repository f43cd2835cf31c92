"""Series about the daemon itself: health, findings, incidents, the signal, collectors, counters."""

import re
from collections import Counter
from collections.abc import Iterator

from watchdog.exporter.freshness import READERS
from watchdog.exporter.metrics import METRICS, Family, Point
from watchdog.state import CollectorState, State
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import IncidentState
from watchdog.vocabulary.signals import Action
from watchdog.vocabulary.subjects import Subject

STATES = tuple((level, level.name.lower()) for level in Severity)
"""Every severity with its word in labels."""

COUNTERS = ("store_rows_dropped_total", "store_items_refused_total", "store_refused_total", "drain_failures_total")
"""Counted by the daemon since it started. One that never moved is printed as 0, so that its first step has an increase;
that is a count, not a reading that failed."""

_COUNTED_ELSEWHERE = ("api_rejected_total",)
"""As above, but only where somebody counts."""

_NAMES = frozenset(family.name for family in METRICS)
_COUNTER = re.compile(r"[a-z][a-z0-9_]*_total")


def daemon_points(state: State) -> Iterator[Point]:
    """Everything about the daemon."""
    yield Point("fryer_build_info", (state.version, state.node), 1)
    yield Point("fryer_start_timestamp_seconds", (), state.started_at)
    yield Point("fryer_state_timestamp_seconds", (), state.at)
    yield from _health(state)
    yield from _findings(state)
    yield from _incidents(state)
    yield from _signal(state)
    for collector in state.collectors:
        yield from _collector(collector)
    for name in COUNTERS:
        yield Point(f"fryer_{name}", (), state.counters.get(name, 0.0))
    for name in _COUNTED_ELSEWHERE:
        if name in state.counters:
            yield Point(f"fryer_{name}", (), state.counters[name])
    kmsg = state.rows.get(Subject(state.node, "process", "collector:kmsg"))
    if kmsg is not None and "lost_records_total" in kmsg.values:
        yield Point("fryer_kmsg_lost_records_total", (), kmsg.values["lost_records_total"])
    for action in Action:
        if action is not Action.NONE:
            yield Point(
                "fryer_signals_total", (action.value,), state.counters.get(f"signals_total.{action.value}", 0.0)
            )


def unnamed_counters(state: State) -> list[tuple[Family, Point]]:
    """Counters that the catalogue does not name yet, under their own names: seen before they are described."""
    return [
        (Family(f"fryer_{name}", "counter", "A counter of the daemon."), Point(f"fryer_{name}", (), value))
        for name, value in sorted(state.counters.items())
        if f"fryer_{name}" not in _NAMES and _COUNTER.fullmatch(name)
    ]


def severity_of_kind(state: State, kind: str, only: Subject | None = None) -> Severity:
    """The gravest finding about subjects of `kind`, or about `only` that one.

    UNKNOWN, not OK, when nothing says more and the first reader of that kind fails, or is itself a finding: silence is
    no health.
    """
    gravest = max(
        (finding.severity for finding in state.findings if _is_about(finding, kind, only)), default=Severity.OK
    )
    return max(gravest, Severity.UNKNOWN) if _is_blind(state, kind) else gravest


def _is_about(finding: Finding, kind: str, only: Subject | None) -> bool:
    return finding.subject == only if only is not None else finding.subject.kind == kind


def _is_blind(state: State, kind: str) -> bool:
    if state.severity is Severity.UNKNOWN and not state.findings:
        return True  # before the first look
    reader = next(iter(READERS.get(kind, ())), None)
    is_failing = any(one.name == reader and one.last_error and not one.is_missing for one in state.collectors)
    suspects = {finding.subject.name for finding in state.findings if finding.subject.kind == "process"}
    return is_failing or f"collector:{reader}" in suspects


def _health(state: State) -> Iterator[Point]:
    kinds = {subject.kind for subject in state.rows} | {finding.subject.kind for finding in state.findings}
    components = {"node": state.severity} | {
        kind: severity_of_kind(state, kind) for kind in sorted(kinds - {"node", "process"})
    }
    for component, severity in components.items():
        for level, word in STATES:
            yield Point("fryer_health_state", (component, word), level == severity)


def _findings(state: State) -> Iterator[Point]:
    counts = Counter((one.source, one.code, one.severity.name.lower()) for one in state.findings)
    for labels, count in counts.items():
        yield Point("fryer_findings", labels, count)


def _incidents(state: State) -> Iterator[Point]:
    counts = Counter(incident.state for incident in state.incidents)
    for word in IncidentState:
        yield Point("fryer_incidents", (word.value,), counts[word])
    repeats = (incident.repeats for incident in state.incidents if incident.state is not IncidentState.CLOSED)
    yield Point("fryer_incident_repeats", (), max(repeats, default=0))


def _signal(state: State) -> Iterator[Point]:
    signal = state.signal
    is_current = signal is not None and signal.expires_at > state.at
    now = (signal.action, signal.is_observed_only) if signal is not None and is_current else (Action.NONE, False)
    for mode, is_observed in (("enforced", False), ("observed", True)):
        for action in Action:
            if action is not Action.NONE:
                yield Point("fryer_signal_active", (action.value, mode), now == (action, is_observed))


def _collector(collector: CollectorState) -> Iterator[Point]:
    labels = (collector.name,)
    yield Point("fryer_collector_missing", labels, collector.is_missing)
    yield Point("fryer_collector_calls_total", labels, collector.num_calls)
    yield Point("fryer_collector_failures_total", labels, collector.num_failures)
    if collector.is_missing:
        return
    yield Point("fryer_collector_period_seconds", labels, collector.period_seconds)
    if collector.num_calls:
        yield Point("fryer_collector_up", labels, not collector.last_error)
    if collector.last_success_at is not None:
        yield Point("fryer_collector_last_success_timestamp_seconds", labels, collector.last_success_at)
    if collector.duration_seconds is not None:
        yield Point("fryer_collector_duration_seconds", labels, collector.duration_seconds)
