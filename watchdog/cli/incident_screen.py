"""Incidents as documents of the API: finding one by the beginning of its id, and writing it out for a person. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from watchdog.cli.tables import printable, when
from watchdog.vocabulary.errors import UsageError

SHORT = 8
"""Characters of an id that a table shows."""
_ID = re.compile(r"[0-9a-f-]{1,36}")
_MOST_SHOWN = 10
_LABEL = 13

Document = Mapping[str, Any]


def chosen(beginning: str, incidents: Sequence[Document]) -> Document:
    """The one incident whose id begins so; raises `UsageError` for none and for several, which it lists."""
    wanted = beginning.strip().lower()
    if not _ID.fullmatch(wanted):
        raise UsageError(f"{beginning!r} is no incident's id; give its first characters, as fryer incident list shows")
    found = [one for one in incidents if one["id"].startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if not found:
        known = "; known: " + ", ".join(map(_named, incidents[:_MOST_SHOWN])) if incidents else "; there is none"
        raise UsageError(f"no incident's id begins with {wanted!r}{known}{_rest(incidents)}")
    several = ", ".join(map(_named, found[:_MOST_SHOWN]))
    raise UsageError(f"{wanted!r} begins {len(found)} ids: {several}{_rest(found)}; give more of it")


def row(incident: Document) -> tuple[str, ...]:
    """Its line in the table of all."""
    return (
        incident["id"][:SHORT],
        incident["state"],
        incident["severity"],
        when(incident["opened_at"]),
        str(incident["count"]),
        incident["action"],
        incident["title"],
    )


def screen(incident: Document) -> str:
    """All of it: root, victims, life, action, verification, cost, evidence, marks."""
    records = incident["evidence"]
    marks = [record for record in records if record.get("type") == "mark"]
    evidence = [record for record in records if record.get("type") != "mark"]
    lines = [
        f"incident {incident['id']}",
        *_field("title", [incident["title"]]),
        *_field("state", [f"{incident['state']}, {incident['severity']}"]),
        *_field("root", [f"{incident['root']} {incident['root_code']}"]),
        *_field("victims", incident["victims"]),
        *_field("seen", [_seen(incident)]),
        *_field("action", [incident["action"]]),
        *_field("verification", [_verification(incident)]),
        *_field("repeats", [_repeats(incident)]),
        *_field("cost", [f"{name} {value:g}" for name, value in incident["cost"].items()] or ["not known"]),
        *_field("evidence", map(_evidence, evidence)),
        *_field("marks", [f"{when(mark['at'])} {mark['by']}: {mark['reason']}" for mark in marks]),
    ]
    return "\n".join(map(printable, lines))


def _field(name: str, values: Any) -> list[str]:
    shown = list(values) or ["none"]
    return [f"{name if not number else '':<{_LABEL}}{value}" for number, value in enumerate(shown)]


def _seen(incident: Document) -> str:
    span = f"from {when(incident['opened_at'])} to {when(incident['updated_at'])}"
    return f"{incident['count']} times {span}; codes: {', '.join(incident['codes'])}"


def _verification(incident: Document) -> str:
    if incident["closed_at"] is not None:
        verified = f"gone at {when(incident['verified_at'])}; " if incident["verified_at"] is not None else ""
        return f"{verified}closed at {when(incident['closed_at'])}: {incident['closed_because'] or 'no reason kept'}"
    if incident["verified_at"] is not None:
        return f"gone at {when(incident['verified_at'])}; closes soon if it stays so"
    if incident["acted_at"] is not None:
        return (
            f"acted on at {when(incident['acted_at'])}; not verified: it must stay away, a drained node qualify again"
        )
    return "none: nothing is known to have been done about it"


def _repeats(incident: Document) -> str:
    if not incident["repeats"]:
        return "none remembered"
    return f"{incident['repeats']} before it, the last {(incident['previous'] or '-')[:SHORT]}"


def _evidence(record: Document) -> str:
    said = record.get("line") or record.get("message") or ""
    who = f"{record.get('subject', '-')} {record.get('severity', '')}".rstrip()
    return f"{when(record.get('at'))} {record.get('type', '?')} {who}: {said}"


def _named(incident: Document) -> str:
    return printable(f"{incident['id'][:SHORT]} ({incident['root_code']} on {incident['root']})")


def _rest(incidents: Sequence[Document]) -> str:
    more = len(incidents) - _MOST_SHOWN
    return f" and {more} more" if more > 0 else ""
