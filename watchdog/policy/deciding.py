"""Decides: of all wishes at most one signal, and the drains; each wish with what became of it, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol
from uuid import UUID, uuid5

from watchdog.policy.history import Act, History
from watchdog.policy.permissions import GUARDED, PolicySettings
from watchdog.policy.rules import Wish, wish_of
from watchdog.vocabulary.families import Family, family_of
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import Incident, IncidentState
from watchdog.vocabulary.signals import Action, Signal

Outcome = Literal["none", "signalled", "drained", "observed", "outranked", "acked", "covered", "capped", "breaker"]

_NAMESPACE = UUID("b3f1d2f0-6b0e-4e5e-9a52-0c7d7b7f6a11")
_GRAVITY = {action: rank for rank, action in enumerate(Action)}
_LEAST_UNITS = 4
"""Half of fewer than these is no sign of a common cause."""


class Run(Protocol):
    """What is looked at of a run; `watchdog.state.RunState` has it."""

    @property
    def run(self) -> str:
        """Its name."""

    @property
    def step(self) -> int | None:
        """The last step that it reported."""

    @property
    def ended_at(self) -> float | None:
        """When it ended, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """A node to take from the scheduler; asked for again at each decision until it is noted as drained."""

    node: str
    reason: str
    incident: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Undrain:
    """A node that we drained, and that is fit again."""

    node: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What became of one incident's wish."""

    incident: str
    action: Action
    outcome: Outcome
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done now, and why."""

    signal: Signal | None = None
    drains: tuple[Drain, ...] = ()
    undrains: tuple[Undrain, ...] = ()
    records: tuple[Record, ...] = ()
    acts: tuple[Act, ...] = ()
    """New uses of daily caps; for `remember`."""
    is_breaker_open: bool = False
    """So much is bad at once that nothing is done: alert people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A wish that asks for something, and what stands around it."""

    wish: Wish
    signal_id: str
    is_observed_only: bool


def decide(
    *,
    incidents: Iterable[Incident],
    findings: Sequence[Finding],
    runs: Iterable[Run],
    history: History,
    settings: PolicySettings,
    now: float,
    fleet_ratio: float = 0.0,
    qualified: Mapping[str, float] | None = None,
) -> Decision:
    """What to do about `incidents` at `now`, Unix seconds.

    `runs`: newest first. `fleet_ratio`: bad at once, of the fleet, or of the node's GPUs (`bad_ratio`). `qualified`:
    by node, when it last passed a qualification. The same incident gives the same signal while it stands.
    """
    standing = [one for one in incidents if one.state in (IncidentState.OPEN, IncidentState.ACTED)]
    wishes = [wish_of(incident, findings) for incident in standing]
    quiet = [_record(wish, "none", wish.why) for wish in wishes if wish.action is Action.NONE]
    cases = [_case(wish, settings) for wish in _in_order(wishes)]
    if cases and fleet_ratio >= settings.breaker_ratio:
        why = f"{fleet_ratio:.0%} is bad at once, breaker at {settings.breaker_ratio:.0%}: nothing is done"
        broken = [_record(case.wish, "breaker", why) for case in cases]
        return Decision(records=(*broken, *quiet), is_breaker_open=True)
    chosen, drains, records, acts = _choose(cases, history, settings, now)
    signal = None if chosen is None else _signal(chosen, runs, history, settings, now)
    undrains = _undrains(wishes, history, qualified or {})
    return Decision(signal=signal, drains=drains, undrains=undrains, records=(*records, *quiet), acts=acts)


def bad_ratio(incidents: Iterable[Incident], num_units: int) -> float:
    """How much of `num_units` GPUs (or nodes) is the root of an open failure; 0 for so few that it says nothing.

    Victims do not count: one GPU that takes its neighbours with it is one bad GPU.
    """
    if num_units < _LEAST_UNITS:
        return 0.0
    roots = {
        incident.root
        for incident in incidents
        if incident.state in (IncidentState.OPEN, IncidentState.ACTED)
        and incident.severity is Severity.FAIL
        and incident.root.kind == "gpu"
        and family_of(incident.root_code) is not Family.APPLICATION
    }
    return min(len(roots) / num_units, 1.0)


def signal_id(incident_id: str, action: Action) -> str:
    """The id of the signal by which an incident asks for an action: always the same."""
    return str(uuid5(_NAMESPACE, f"{incident_id}|{action.value}"))


def _in_order(wishes: Iterable[Wish]) -> list[Wish]:
    """Those that ask for something, gravest first, then oldest."""
    asking = (wish for wish in wishes if wish.action is not Action.NONE)
    return sorted(asking, key=lambda one: (-_GRAVITY[one.action], one.incident.opened_at, one.incident.id))


def _case(wish: Wish, settings: PolicySettings) -> _Case:
    return _Case(
        wish=wish,
        signal_id=signal_id(wish.incident.id, wish.action),
        is_observed_only=not settings.is_allowed(wish.action, wish.incident.root_code),
    )


def _choose(
    cases: Sequence[_Case], history: History, settings: PolicySettings, now: float
) -> tuple[_Case | None, tuple[Drain, ...], tuple[Record, ...], tuple[Act, ...]]:
    """The one that becomes the signal: the gravest that may act, else the gravest that is only watched."""
    chosen: _Case | None = None
    watched: _Case | None = None
    drains: list[Drain] = []
    records: list[Record] = []
    acts: list[Act] = []
    leaving: set[str] = set()
    for case in cases:
        wish, node, outcome = case.wish, case.wish.incident.node, _outcome(case, history, leaving)
        if outcome == "signalled":
            outcome = _granted(case, history, settings, acts, now, is_taken=chosen is not None)
        records.append(_record(wish, outcome, _why(wish, outcome, history.acked.get(case.signal_id, ""), settings)))
        if outcome == "observed":
            watched = watched or case
        if outcome == "signalled":
            chosen = case
        is_carried_out = outcome in ("signalled", "drained") or (
            outcome == "acked" and history.is_granted(case.signal_id, now)
        )
        if is_carried_out and wish.action in GUARDED:
            leaving.add(node)
        if is_carried_out and wish.action is Action.DRAIN and node not in history.drained:
            drains.append(Drain(node=node, reason=wish.incident.title, incident=wish.incident.id))
    return chosen or watched, tuple(drains), tuple(records), tuple(acts)


def _outcome(case: _Case, history: History, leaving: set[str]) -> Outcome:
    """What becomes of a case before caps are asked; ``signalled`` where nothing stands against it."""
    if case.is_observed_only:
        return "acked" if case.signal_id in history.acked else "observed"
    if case.wish.incident.node in leaving:
        return "covered"
    return "acked" if case.signal_id in history.acked else "signalled"


def _granted(
    case: _Case, history: History, settings: PolicySettings, acts: list[Act], now: float, *, is_taken: bool
) -> Outcome:
    """The same after the daily cap, of which a new signal or drain takes one; a second signal waits for the first."""
    wish = case.wish
    if is_taken and wish.action is not Action.DRAIN:
        return "outranked"
    if not history.is_granted(case.signal_id, now):
        if _spent(history, acts, wish.action, now) >= settings.caps.of(wish.action):
            return "capped"
        acts.append(Act(signal_id=case.signal_id, action=wish.action, at=now))
    return "drained" if is_taken else "signalled"


def _why(wish: Wish, outcome: Outcome, answer: str, settings: PolicySettings) -> str:
    """The wish's own reason, and what stands against it."""
    against = {
        "observed": "observe-only, see [watchdog.policy] allow",
        "acked": f"the run answered: {answer}",
        "covered": "the node is leaving already",
        "capped": f"the cap of {settings.caps.of(wish.action)} a day is used up",
        "outranked": "a graver one goes first",
    }
    return f"{wish.why}; {against[outcome]}" if outcome in against else wish.why


def _spent(history: History, acts: Sequence[Act], action: Action, now: float) -> int:
    return history.spent(action, now) + sum(act.action is action for act in acts)


def _signal(case: _Case, runs: Iterable[Run], history: History, settings: PolicySettings, now: float) -> Signal:
    """The signal of a case: as it was given before while that has not expired, else a new one."""
    before = history.signals.get(case.signal_id)
    if before is not None and before.expires_at > now:
        return replace(before, is_observed_only=case.is_observed_only)
    wish = case.wish
    run = next((one for one in runs if one.ended_at is None), None)
    is_save = wish.action is Action.SAVE and run is not None and run.step is not None and settings.save_within_steps > 0
    seconds = settings.guarded_expires_seconds if wish.action in GUARDED else settings.save_expires_seconds
    return Signal(
        id=case.signal_id,
        action=wish.action,
        reason=f"{wish.incident.title}: {wish.why}",
        confidence=wish.confidence,
        created_at=now,
        expires_at=now + seconds,
        run="" if run is None else run.run,
        not_after_step=(run.step or 0) + settings.save_within_steps if is_save and run is not None else None,
        incident=wish.incident.id,
        is_observed_only=case.is_observed_only,
    )


def _undrains(wishes: Iterable[Wish], history: History, qualified: Mapping[str, float]) -> tuple[Undrain, ...]:
    """Nodes that we drained, that passed a qualification since, and that nothing wants drained any more."""
    wanted = {wish.incident.node for wish in wishes if wish.action in GUARDED}
    return tuple(
        Undrain(node=node, reason=f"passed a qualification after incident {one.incident}")
        for node, one in history.drained.items()
        if node not in wanted and qualified.get(node, float("-inf")) > one.at
    )


def _record(wish: Wish, outcome: Outcome, why: str) -> Record:
    return Record(incident=wish.incident.id, action=wish.action, outcome=outcome, why=why)
