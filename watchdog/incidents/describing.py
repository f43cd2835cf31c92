"""Writes an incident out of the tallies under one root: severity, repair, victims, evidence, title."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from watchdog.incidents.book import IncidentLimits, Past, Tally
from watchdog.vocabulary.families import Family
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.incidents import Incident
from watchdog.vocabulary.subjects import Subject

ACTIONS = ("none", "save", "restart_app", "reset_gpu", "drain_reset", "reboot_node", "inspect", "contact_support")
"""Repairs, greatest last; ``stop_job`` and words that are not known count as the greatest."""
REPAIRS = frozenset(ACTIONS[3:])
_HARDWARE = frozenset({Family.GONE, Family.MEMORY, Family.DRIVER, Family.LINK, Family.NIC, Family.VERDICT})
_MOST_TITLE = 240


def describe(
    incident: Incident, root: Tally, members: Sequence[Tally], pasts: Iterable[Past], limits: IncidentLimits
) -> Incident:
    """`incident` with all that follows from its tallies; its id, state and times of the life remain."""
    past = [one for one in pasts if one.closed_at >= root.first_at - limits.memory_seconds]
    return replace(
        incident,
        node=root.subject.node,
        opened_at=min(tally.first_at for tally in members),
        updated_at=max(tally.last_at for tally in members),
        severity=max(tally.severity for tally in members),
        root=root.subject,
        root_code=root.code,
        title=_title(root, members),
        action=_action(root, members, past, limits),
        victims=_victims(root, members)[: limits.most_victims],
        count=sum(tally.count for tally in members),
        codes=tuple(dict.fromkeys(tally.code for tally in members)),
        repeats=len(past),
        previous=past[-1].incident if past else None,
        evidence=_evidence(root, members, limits.most_evidence),
    )


def needs_repair(incident: Incident) -> bool:
    """Whether silence alone does not show that it is over: a FAIL that asks for a reset, a reboot, an inspection."""
    return incident.severity is Severity.FAIL and incident.action in REPAIRS


def _victims(root: Tally, members: Sequence[Tally]) -> tuple[Subject, ...]:
    return tuple(dict.fromkeys(tally.subject for tally in members if tally.subject != root.subject))


def _title(root: Tally, members: Sequence[Tally]) -> str:
    said = root.message.strip().rstrip(".")[:_MOST_TITLE]
    title = f"{root.code} on {root.subject}{': ' if said else ''}{said}"
    others = len(_victims(root, members))
    return f"{title}; {others} other{'s' if others > 1 else ''} affected" if others else title


def _action(root: Tally, members: Sequence[Tally], past: Sequence[Past], limits: IncidentLimits) -> str:
    """The driver's own verdict first, then the gravest finding's, of equal ones the root's: to repair the cause is to
    repair what it did to others. A repair that did not last asks for a person.
    """
    severity = max(tally.severity for tally in members)
    verdicts = [
        tally
        for tally in members
        if tally.family is Family.VERDICT and tally.action != "none" and (tally.is_standing or tally.num_events)
    ]
    found = [tally for tally in members if tally.has_finding]
    if verdicts:
        action = max(verdicts, key=lambda one: (one.subject == root.subject, _rank(one.action), one.last_at)).action
    else:
        asking = [tally for tally in found if tally.action != "none"] or found
        action = max(asking, key=lambda one: (one.severity, one is root, _rank(one.action)), default=root).action
    repaired = sum(one.was_repaired for one in past)
    if severity is Severity.FAIL and root.family in _HARDWARE and repaired >= limits.repeats_to_inspect:
        return max("inspect", action, key=_rank)
    return action


def _rank(action: str) -> int:
    return ACTIONS.index(action) if action in ACTIONS else len(ACTIONS)


def _evidence(root: Tally, members: Sequence[Tally], most: int) -> tuple[Mapping[str, object], ...]:
    """First, gravest and last of every tally: the root's first, then by gravity; bounded."""
    order = sorted(members, key=lambda tally: (tally is not root, -tally.severity, tally.first_at, tally.key))
    records: list[Mapping[str, object]] = []
    for tally in order:
        for record in (tally.first, tally.found, tally.last):
            if record is not None and record not in records:
                records.append(record)
        if len(records) >= most:
            break
    return tuple(records[:most])
