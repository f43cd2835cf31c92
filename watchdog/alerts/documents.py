"""What an alert says, and its two forms on the wire: Alertmanager's API v2, and a document of our own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from watchdog.incidents.archive import incident_to_json
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.incidents import Incident

_PAGES = {Severity.OK: "info", Severity.UNKNOWN: "warning", Severity.WARN: "warning", Severity.FAIL: "critical"}
"""Severity as the labels of alert rules have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing that people are to hear of."""

    key: str
    """What it is about; a newer alert of the same key takes the place of an older one that waits."""
    name: str
    """``FryerIncident``, ``FryerBreaker``, ``FryerTest``: Alertmanager's alertname."""
    node: str
    subject: str
    code: str
    severity: Severity
    state: str
    title: str
    action: str = "none"
    started_at: float
    """Unix seconds."""
    ended_at: float | None = None
    """None while it lasts."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready; in our own form only."""

    @property
    def content(self) -> tuple[str, ...]:
        """What makes it worth another alert."""
        return (self.state, self.severity.name, self.action, self.code)

    @property
    def labels(self) -> dict[str, str]:
        """What Alertmanager knows it by, and routes it by."""
        return {
            "alertname": self.name,
            "incident": self.key,
            "node": self.node,
            "subject": self.subject,
            "code": self.code,
            "severity": _PAGES[self.severity],
        }


def alert_of(incident: Incident) -> Alert:
    """The alert of an incident as it is now."""
    return Alert(
        key=incident.id,
        name="FryerIncident",
        node=incident.node,
        subject=str(incident.root),
        code=incident.root_code,
        severity=incident.severity,
        state=incident.state.value,
        title=incident.title,
        action=incident.action,
        started_at=incident.opened_at,
        ended_at=incident.closed_at,
        details=incident_to_json(incident),
    )


def breaker_alert(node: str, why: str, started_at: float, ended_at: float | None = None) -> Alert:
    """The policy does nothing since so much is bad at once; `ended_at` when it acts again."""
    return Alert(
        key=f"breaker:{node}",
        name="FryerBreaker",
        node=node,
        subject=node,
        code="breaker",
        severity=Severity.FAIL,
        state="open" if ended_at is None else "closed",
        title=why,
        action="inspect",
        started_at=started_at,
        ended_at=ended_at,
    )


def alertmanager(
    alert: Alert, now: float, lasts_seconds: float, before: Mapping[str, str] | None
) -> list[dict[str, Any]]:
    """Body of ``POST /api/v2/alerts``. Where labels are not those of `before`, the older alert is ended with it."""
    ends_at = alert.ended_at if alert.ended_at is not None else now + lasts_seconds
    alerts = [_one(alert, alert.labels, ends_at)]
    if before is not None and before != alert.labels:
        alerts.insert(0, _one(alert, before, now))
    return alerts


def own(alert: Alert, now: float) -> dict[str, Any]:
    """Body of our own form."""
    return {
        "type": "alert",
        "schema": "fryer/alert",
        "version": 1,
        "sent_at": now,
        "name": alert.name,
        "key": alert.key,
        "node": alert.node,
        "subject": alert.subject,
        "code": alert.code,
        "severity": alert.severity.name,
        "state": alert.state,
        "title": alert.title,
        "action": alert.action,
        "started_at": alert.started_at,
        "ended_at": alert.ended_at,
        "incident": dict(alert.details) or None,
    }


def _one(alert: Alert, labels: Mapping[str, str], ends_at: float) -> dict[str, Any]:
    annotations = {"summary": alert.title, "action": alert.action, "state": alert.state}
    return {
        "labels": dict(labels),
        "annotations": annotations,
        "startsAt": _rfc3339(min(alert.started_at, ends_at)),
        "endsAt": _rfc3339(ends_at),
    }


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
