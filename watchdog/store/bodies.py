"""Incidents and signals as JSON objects, and back: every field under its own name, subjects as they are written."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.incidents import Incident, IncidentState
from watchdog.vocabulary.signals import Action, Signal
from watchdog.vocabulary.subjects import Subject

UNREMARKABLE = ("count", "updated_at", "evidence", "cost")
"""Fields of an incident whose change is no new version of it: they change with every line that is merged in."""


def incident_body(incident: Incident) -> dict[str, Any]:
    """`incident` as what `json.dumps` takes."""
    body = {each.name: getattr(incident, each.name) for each in fields(incident)}
    return body | {
        "severity": int(incident.severity),
        "root": str(incident.root),
        "victims": [str(victim) for victim in incident.victims],
        "codes": list(incident.codes),
        "cost": dict(incident.cost),
        "evidence": [dict(each) for each in incident.evidence],
    }


def incident_of(body: Mapping[str, Any]) -> Incident:
    """The incident that `incident_body` wrote."""
    return Incident(
        **{
            **body,
            "state": IncidentState(body["state"]),
            "severity": Severity(body["severity"]),
            "root": Subject.parse(body["root"]),
            "victims": tuple(Subject.parse(victim) for victim in body["victims"]),
            "codes": tuple(body["codes"]),
            "evidence": tuple(body["evidence"]),
        }
    )


def is_new_version(before: Mapping[str, Any] | None, body: Mapping[str, Any]) -> bool:
    """Whether more than the `UNREMARKABLE` has changed."""
    if before is None:
        return True
    return any(before.get(name) != value for name, value in body.items() if name not in UNREMARKABLE)


def signal_body(signal: Signal) -> dict[str, Any]:
    """`signal` as what `json.dumps` takes."""
    return {each.name: getattr(signal, each.name) for each in fields(signal)}


def signal_of(body: Mapping[str, Any]) -> Signal:
    """The signal that `signal_body` wrote."""
    return Signal(**{**body, "action": Action(body["action"])})
