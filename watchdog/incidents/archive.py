"""A book, and an incident, as JSON documents and back, exactly. Unknown versions are refused, never guessed."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from watchdog.incidents.book import Book, Case, Past, Streak, Tally
from watchdog.vocabulary.errors import StoreError
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.incidents import Incident, IncidentState
from watchdog.vocabulary.subjects import Subject

SCHEMA, VERSION = "fryer/incident-book", 1


def to_json(book: Book) -> dict[str, Any]:
    """`book` as what `json.dumps` takes without loss."""
    return {"schema": SCHEMA, "version": VERSION, **_encoded(book)}


def from_json(document: Mapping[str, Any]) -> Book:
    """The book that `to_json` wrote; raises `StoreError` for anything else."""
    if document.get("schema") != SCHEMA or document.get("version") != VERSION:
        raise StoreError(
            f"not a book of incidents of version {VERSION}: schema {document.get('schema')!r}, version "
            f"{document.get('version')!r}; set it aside and begin a new one"
        )
    try:
        return Book(
            tallies={key: _tally(value) for key, value in document["tallies"].items()},
            cases={key: _case(value) for key, value in document["cases"].items()},
            recent=tuple(incident_from_json(value) for value in document["recent"]),
            streaks={key: Streak(**value) for key, value in document["streaks"].items()},
            muted=dict(document["muted"]),
            memory={key: tuple(Past(**past) for past in pasts) for key, pasts in document["memory"].items()},
            num_unclaimed=document["num_unclaimed"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"the book of incidents is damaged: {error!r}; set it aside and begin a new one") from error


def incident_to_json(incident: Incident) -> dict[str, Any]:
    """An incident as what `json.dumps` takes without loss."""
    encoded: dict[str, Any] = _encoded(incident)
    return encoded


def incident_from_json(document: Mapping[str, Any]) -> Incident:
    """The incident that `incident_to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
    return Incident(
        **{
            **document,
            "state": IncidentState(document["state"]),
            "severity": Severity(document["severity"]),
            "root": Subject.parse(document["root"]),
            "victims": tuple(Subject.parse(victim) for victim in document["victims"]),
            "codes": tuple(document["codes"]),
            "evidence": tuple(document["evidence"]),
        }
    )


def _tally(document: Mapping[str, Any]) -> Tally:
    severity, subject = Severity(document["severity"]), Subject.parse(document["subject"])
    return Tally(**{**document, "subject": subject, "severity": severity})


def _case(document: Mapping[str, Any]) -> Case:
    return Case(**{**document, "incident": incident_from_json(document["incident"])})


def _encoded(value: Any) -> Any:
    if isinstance(value, Subject):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {member.name: _encoded(getattr(value, member.name)) for member in fields(value)}
    if isinstance(value, Mapping):
        return {key: _encoded(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_encoded(item) for item in value]
    return value
