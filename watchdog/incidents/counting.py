"""Events go into tallies: constant work for each event of a kind already seen, whatever their number.

An event may stand for many equal ones: ``count`` and ``last_at`` of its data say so. Events with a kind of `REPAIRS`
are no faults: they say that a reboot or a reset was done, and what comes after is new.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from watchdog.incidents.book import Tally, tally_key
from watchdog.incidents.desk import Desk
from watchdog.incidents.evidence import event_record
from watchdog.vocabulary.families import Family, event_code
from watchdog.vocabulary.incidents import IncidentState
from watchdog.vocabulary.samples import Event
from watchdog.vocabulary.subjects import Subject

REPAIRS = frozenset({"boot", "gpu_reset"})
"""``boot`` on a node, ``gpu_reset`` on a GPU."""


@dataclass(slots=True)
class _Counter:
    """Events of one tally that are not yet in it."""

    key: str
    first: Event
    last: Event
    names: str
    fresh_until: float
    last_at: float
    count: int = 0

    def fits(self, event: Event) -> bool:
        """Whether the event changes nothing but the count."""
        return event.at <= self.fresh_until and (not event.data or previous_code(event) in ("", self.names))

    def add(self, event: Event) -> None:
        """Count it."""
        self.last = event
        if event.data:
            self.count += count_of(event)
            self.last_at = max(self.last_at, _last_at(event))
        else:
            self.count += 1
            self.last_at = event.at if event.at > self.last_at else self.last_at


_Counters = dict[tuple[Subject, str, int | None], _Counter]


def count_events(desk: Desk, events: Iterable[Event]) -> None:
    """Take events, in order of their time."""
    counters: _Counters = {}
    for event in sorted(events, key=lambda event: event.at):
        if event.kind in REPAIRS:
            _flush(desk, counters)
            _repair(desk, event)
            continue
        part = (event.subject, event.kind, event.code)
        counter = counters.get(part)
        if counter is None or not counter.fits(event):
            _flush(desk, counters)
            counter = _begin(desk, event)
            if counter is None:
                desk.num_unclaimed += count_of(event)
                continue
            counters[part] = counter
        counter.add(event)
    _flush(desk, counters)


def count_of(event: Event) -> int:
    """How many equal lines an event stands for: a reader puts a storm of them into one event."""
    count = event.data.get("count", 1)
    return count if isinstance(count, int) and count > 0 else 1


def previous_code(event: Event) -> str:
    """The code that the line itself names as the cause (drivers from 570.124), or nothing."""
    previous = event.data.get("previous_xid")
    return f"xid_{previous}" if isinstance(previous, int) and not isinstance(previous, bool) else ""


def _last_at(event: Event) -> float:
    last = event.data.get("last_at")
    return max(event.at, float(last)) if isinstance(last, int | float) else event.at


def _begin(desk: Desk, event: Event) -> _Counter | None:
    """The counter of an event's tally, which is made when it is new; None when there is no room for another."""
    code = event_code(event.kind, event.code)
    key = tally_key(event.subject, code)
    _start_over(desk, key, event)
    tally = desk.tallies.get(key)
    names = previous_code(event)
    if tally is None:
        if len(desk.tallies) >= desk.limits.most_tallies:
            return None
        tally = Tally(key=key, subject=event.subject, code=code, first_at=event.at, last_at=event.at, names=names)
        desk.tallies[key] = replace(tally, message=event.message)
        desk.join(key)
    elif event.at < tally.first_at or (names and names != tally.names):
        desk.tallies[key] = replace(tally, first_at=min(event.at, tally.first_at), names=names or tally.names)
        desk.rejoin(key)
    is_loose = desk.case_of(key) is None
    fresh_until = desk.tallies[key].first_at + desk.limits.loose_seconds if is_loose else float("inf")
    return _Counter(
        key=key, first=event, last=event, names=desk.tallies[key].names, fresh_until=fresh_until, last_at=event.at
    )


def _start_over(desk: Desk, key: str, event: Event) -> None:
    """A fault that came back begins a new incident; an event that nobody claimed for long begins a new tally."""
    tally = desk.tallies.get(key)
    if tally is None:
        return
    case = desk.case_of(key)
    if case is None:
        if event.at > tally.first_at + desk.limits.loose_seconds:
            desk.num_unclaimed += desk.drop([key])
        return
    if case.repaired_at is not None and event.at > case.repaired_at:
        desk.close(case, f"came back after {case.acted.replace('_', ' ')}", event.at, was_repaired=True)
    elif case.incident.state is IncidentState.VERIFIED:
        desk.close(case, "came back", event.at, was_repaired=case.acted == "drain")


def _repair(desk: Desk, event: Event) -> None:
    """Note a reboot of the node, or a reset of a GPU, in the cases that it concerns."""
    for case in list(desk.cases.values()):
        root = case.incident.root
        is_concerned = root.node == event.subject.node if event.kind == "boot" else root == event.subject
        if not is_concerned or case.repaired_at is not None or event.at < case.incident.opened_at:
            continue
        incident = case.incident
        if incident.state is IncidentState.OPEN:
            incident = replace(incident, state=IncidentState.ACTED, acted_at=event.at)
            desk.say("acted", incident)
        acted = case.acted if case.acted == "drain" else event.kind
        desk.cases[incident.id] = replace(case, incident=incident, acted=acted, repaired_at=event.at)


def _flush(desk: Desk, counters: _Counters) -> None:
    """Put what was counted into the tallies."""
    for counter in counters.values():
        tally = desk.tallies[counter.key]
        is_newest = tally.last is None or counter.last_at >= tally.last_at
        is_told = tally.has_finding and tally.family is not Family.VERDICT
        desk.tallies[counter.key] = replace(
            tally,
            num_events=tally.num_events + counter.count,
            last_at=max(tally.last_at, counter.last_at),
            action=counter.last.action if is_newest and not is_told else tally.action,
            first=event_record(counter.first) if tally.first is None else tally.first,
            last=event_record(counter.last) if is_newest else tally.last,
        )
        desk.touched.add(counter.key)
    counters.clear()
