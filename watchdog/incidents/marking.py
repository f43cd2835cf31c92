"""What people and the daemon do to an incident: it was acted on, it is healthy. Records are added, none is deleted."""

from collections.abc import Mapping
from dataclasses import replace

from watchdog.incidents.book import Book, Change, IncidentLimits
from watchdog.incidents.describing import REPAIRS
from watchdog.incidents.desk import Desk, desk_of
from watchdog.vocabulary.errors import UsageError, nearest
from watchdog.vocabulary.incidents import Incident, IncidentState

MOST_REASON = 500
"""Characters of a person's reason that are kept."""


def act(book: Book, incident_id: str, what: str, now: float, limits: IncidentLimits) -> tuple[Book, tuple[Change, ...]]:
    """Note that something was done about an open incident: ``drain``, ``save``, ``exclude``, ``boot``, ``gpu_reset``.

    After ``drain`` it is verified by a qualification only. Raises `UsageError` for an incident that is not open.
    """
    desk = desk_of(book, limits)
    case = desk.cases.get(incident_id)
    if case is None:
        raise _unknown(incident_id, book.cases, "is not open")
    incident = case.incident
    if incident.state is IncidentState.OPEN:
        incident = replace(incident, state=IncidentState.ACTED, acted_at=now)
    elif what == "drain" and case.acted != "drain":
        incident = replace(incident, acted_at=now)
    acted = case.acted if case.acted == "drain" else what
    repaired_at = now if what in ("boot", "gpu_reset") and case.repaired_at is None else case.repaired_at
    desk.cases[incident_id] = replace(case, incident=incident, acted=acted, repaired_at=repaired_at)
    if incident != case.incident:
        desk.say("acted", incident)
    return desk.fold(), tuple(desk.changes)


def mark_healthy(
    book: Book, incident_id: str, *, by: str, reason: str, now: float, limits: IncidentLimits
) -> tuple[Book, tuple[Change, ...]]:
    """Close an incident on a person's word: a record is added to it, nothing is deleted.

    Its findings do not open it anew until they went away, or began later, or a new event comes. A closed incident gets
    the record and stays closed. Raises `UsageError` for an incident that the book does not hold.
    """
    desk = desk_of(book, limits)
    record = {"type": "mark", "at": now, "by": by, "reason": reason[:MOST_REASON]}
    case = desk.cases.get(incident_id)
    if case is None:
        _mark_closed(desk, book, incident_id, record)
        return desk.fold(), tuple(desk.changes)
    members = {key for key in desk.tallies if desk.root_of(key) == case.root}
    for name, streak in desk.streaks.items():
        if streak.tally in members:
            desk.muted[name] = now
    case = replace(case, incident=_with(case.incident, record))
    desk.close(
        case, f"marked healthy by {by}: {reason[:MOST_REASON]}", now, was_repaired=case.incident.action in REPAIRS
    )
    return desk.fold(), tuple(desk.changes)


def _mark_closed(desk: Desk, book: Book, incident_id: str, record: Mapping[str, object]) -> None:
    for index, incident in enumerate(desk.recent):
        if incident.id == incident_id:
            desk.recent[index] = _with(incident, record)
            desk.say("updated", desk.recent[index])
            return
    raise _unknown(incident_id, [incident.id for incident in book.incidents], "is not known")


def _with(incident: Incident, record: Mapping[str, object]) -> Incident:
    return replace(incident, evidence=(*incident.evidence, record))


def _unknown(incident_id: str, known: Mapping[str, object] | list[str], what: str) -> UsageError:
    return UsageError(f"incident {incident_id!r} {what}{nearest(incident_id, known) if known else '; there is none'}")
