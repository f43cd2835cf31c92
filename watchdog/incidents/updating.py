"""One update of a book: events, findings, what opens, what is over."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID, uuid5

from watchdog.incidents.book import Book, Case, Change, IncidentLimits, Tally
from watchdog.incidents.counting import count_events
from watchdog.incidents.describing import describe, needs_repair
from watchdog.incidents.desk import Desk, desk_of
from watchdog.incidents.finding import judge
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import Incident, IncidentState
from watchdog.vocabulary.samples import Event

_NAMESPACE = UUID("5d0c53f2-93f2-4a2c-8f6a-6f1b7a0a2f10")


def update(
    book: Book,
    *,
    findings: Sequence[Finding] | None,
    events: Iterable[Event],
    now: float,
    limits: IncidentLimits,
    qualified: Mapping[str, float] | None = None,
) -> tuple[Book, tuple[Change, ...]]:
    """The book after `events`, which are new, and after one judgement; and what became of incidents.

    `findings`: all that stand at `now`; None where detectors did not run, so that nothing is concluded from silence.
    `qualified`: by node, when it last passed a qualification, Unix seconds: what verifies a drained node.
    """
    desk = desk_of(book, limits)
    count_events(desk, events)
    if findings is not None:
        judge(desk, findings, now)
    _settle(desk, now)
    _clear(desk, now, is_judged=findings is not None, qualified=qualified or {})
    _expire(desk, now)
    return desk.fold(), tuple(desk.changes)


def _settle(desk: Desk, now: float) -> None:
    """Open, merge and describe: one incident for each tree of tallies that a finding was confirmed in."""
    owners: dict[str, list[Case]] = {}
    for case in desk.cases.values():
        owners.setdefault(desk.root_of(case.root), []).append(case)
    for root, members in desk.trees().items():
        cases = sorted(owners.get(root, ()), key=lambda case: (case.incident.opened_at, case.incident.id))
        if not cases and not any(tally.has_finding for tally in members):
            continue
        case = replace(cases[0], root=root) if cases else _open(desk, members, root, now)
        for other in cases[1:]:
            case = _merge(desk, other, case, now)
        if any(tally.is_standing or tally.key in desk.touched for tally in members):
            case = replace(case, quiet=0, seen_at=now)
        _describe(desk, case, members, is_new=not cases)


def _describe(desk: Desk, case: Case, members: Sequence[Tally], *, is_new: bool) -> None:
    root = desk.tallies[case.root]
    incident = describe(case.incident, root, members, desk.memory.get(root.key, ()), desk.limits)
    desk.cases[incident.id] = replace(case, incident=incident)
    if is_new:
        desk.say("opened", incident)
    elif incident != case.incident:
        desk.say("updated", incident)


def _open(desk: Desk, members: Sequence[Tally], root: str, now: float) -> Case:
    first, top = members[0], desk.tallies[root]
    incident = Incident(
        id=_new_id(desk, first),
        node=top.subject.node,
        opened_at=first.first_at,
        updated_at=first.last_at,
        state=IncidentState.OPEN,
        severity=Severity.OK,
        root=top.subject,
        root_code=top.code,
        title="",
        action="none",
    )
    return Case(incident=incident, root=root, seen_at=now)


def _new_id(desk: Desk, first: Tally) -> str:
    """An id that follows from the first sighting, so that a replay gives the same; never one that was given before."""
    taken = {past.incident for pasts in desk.memory.values() for past in pasts}
    taken |= {incident.id for incident in desk.recent} | set(desk.cases)
    number = 0
    while (name := str(uuid5(_NAMESPACE, f"{first.key}|{first.first_at!r}|{number}"))) in taken:
        number += 1
    return name


def _merge(desk: Desk, other: Case, into: Case, now: float) -> Case:
    """An incident turned out to be part of another, which takes over what was done about it."""
    del desk.cases[other.incident.id]
    because = f"merged into {into.incident.id}"
    incident = replace(other.incident, state=IncidentState.CLOSED, closed_at=now, closed_because=because)
    desk.archive("merged", incident)
    if into.incident.state is not IncidentState.OPEN or other.incident.state is IncidentState.OPEN:
        return into
    acted = replace(into.incident, state=IncidentState.ACTED, acted_at=other.incident.acted_at)
    return replace(into, incident=acted, acted=other.acted, repaired_at=other.repaired_at)


def _clear(desk: Desk, now: float, *, is_judged: bool, qualified: Mapping[str, float]) -> None:
    """Verify and close what is over."""
    for case in list(desk.cases.values()):
        if is_judged and case.seen_at != now:
            case = replace(case, quiet=case.quiet + 1)  # noqa: PLW2901 - the case as it is now
            desk.cases[case.incident.id] = case
        if case.incident.state is IncidentState.VERIFIED:
            if not case.quiet:
                desk.close(case, "came back", now, was_repaired=case.acted == "drain" or case.repaired_at is not None)
            elif now - (case.incident.verified_at or now) >= desk.limits.close_seconds:
                repaired = case.repaired_at is not None or case.acted == "drain"
                desk.close(case, _verified_by(case), now, was_repaired=repaired)
        elif _is_over(case, now, qualified, desk.limits):
            _end(desk, case, now)


def _is_over(case: Case, now: float, qualified: Mapping[str, float], limits: IncidentLimits) -> bool:
    """Quiet for long enough, and, for a drained node, qualified since."""
    if case.quiet < limits.clear_judgements:
        return False
    incident = case.incident
    if case.acted == "drain":
        is_known_good = qualified.get(incident.node, float("-inf")) >= (incident.acted_at or now)
        return is_known_good and now - case.seen_at >= limits.clear_seconds
    is_repaired = case.repaired_at is not None
    seconds = limits.clear_unrepaired_seconds if needs_repair(incident) and not is_repaired else limits.clear_seconds
    return now - case.seen_at >= seconds


def _end(desk: Desk, case: Case, now: float) -> None:
    """What was acted on is verified first; what nobody acted on went away by itself."""
    if case.incident.state is IncidentState.OPEN:
        desk.close(case, "went away by itself", now, was_repaired=False)
        return
    incident = replace(case.incident, state=IncidentState.VERIFIED, verified_at=now)
    desk.cases[incident.id] = replace(case, incident=incident)
    desk.say("verified", incident)


def _verified_by(case: Case) -> str:
    if case.acted == "drain":
        return "verified: gone, and the node passed a qualification"
    return f"verified: gone since {case.acted.replace('_', ' ') or 'it was acted on'}"


def _expire(desk: Desk, now: float) -> None:
    """Let go of events that nothing claimed in time, and of incidents that were closed long ago."""
    oldest = now - desk.limits.loose_seconds
    roots = {case.root for case in desk.cases.values()}
    for root, members in desk.trees().items():
        if root not in roots and max(tally.last_at for tally in members) < oldest:
            desk.num_unclaimed += desk.drop([tally.key for tally in members])
    since = now - desk.limits.recent_seconds
    if desk.recent and (desk.recent[0].closed_at or now) < since:
        desk.recent = [incident for incident in desk.recent if (incident.closed_at or now) >= since]
