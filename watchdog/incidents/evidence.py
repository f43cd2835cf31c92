"""Events and findings as JSON-ready records, small enough to keep: what an incident shows as its evidence."""

from collections.abc import Mapping, Sequence
from math import isfinite

from watchdog.vocabulary.findings import Finding
from watchdog.vocabulary.samples import Event

_MOST_CHARACTERS = 400
_MOST_ITEMS = 32
_MOST_DEPTH = 4


def event_record(event: Event) -> dict[str, object]:
    """What is kept of an event."""
    record: dict[str, object] = {
        "type": "event",
        "at": event.at,
        "kind": event.kind,
        "code": event.code,
        "subject": str(event.subject),
        "severity": event.severity,
        "action": event.action,
        "message": event.message[:_MOST_CHARACTERS],
        "line": event.line[:_MOST_CHARACTERS],
    }
    return {key: value for key, value in record.items() if value not in (None, "")}


def finding_record(finding: Finding) -> dict[str, object]:
    """What is kept of a finding."""
    return {
        "type": "finding",
        "at": finding.since,
        "source": finding.source,
        "code": finding.code,
        "subject": str(finding.subject),
        "severity": finding.severity.name,
        "action": finding.action,
        "message": finding.message[:_MOST_CHARACTERS],
        "evidence": plain(finding.evidence),
    }


def plain(value: object, depth: int = 0) -> object:
    """`value` as what JSON holds exactly: bounded, tuples as lists, NaN and infinities as text, the rest as text."""
    if isinstance(value, bool | int | None):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, str):
        return value[:_MOST_CHARACTERS]
    if depth < _MOST_DEPTH and isinstance(value, Mapping):
        return {str(key): plain(item, depth + 1) for key, item in list(value.items())[:_MOST_ITEMS]}
    if depth < _MOST_DEPTH and isinstance(value, Sequence | set | frozenset):
        return [plain(item, depth + 1) for item in list(value)[:_MOST_ITEMS]]
    return str(value)[:_MOST_CHARACTERS]
