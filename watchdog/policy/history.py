"""What was asked, acknowledged and drained before: the policy's memory, as frozen values. JSON in `to_json`."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from watchdog.vocabulary.errors import StoreError
from watchdog.vocabulary.signals import Action, Signal

DAY_SECONDS = 86400.0
_MOST_ACKED = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One use of a daily cap: an incident asked for an action, and was allowed it."""

    signal_id: str
    action: Action
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """A node that we drained."""

    at: float
    incident: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything between two decisions."""

    acts: tuple[Act, ...] = ()
    """Of the last day, oldest first."""
    signals: Mapping[str, Signal] = field(default_factory=dict)
    """Issued and not expired, by id: a signal that stands is given again as it was."""
    acked: Mapping[str, str] = field(default_factory=dict)
    """Result by id of the signal, oldest first; bounded."""
    drained: Mapping[str, Drained] = field(default_factory=dict)
    """By node."""

    def spent(self, action: Action, now: float) -> int:
        """Uses of an action's cap in the day before `now`."""
        return sum(act.action is action and act.at > now - DAY_SECONDS for act in self.acts)

    def is_granted(self, signal_id: str, now: float) -> bool:
        """Whether a signal has used its cap already within the day."""
        return any(act.signal_id == signal_id and act.at > now - DAY_SECONDS for act in self.acts)


def remember(history: History, acts: Iterable[Act], signal: Signal | None, now: float) -> History:
    """The history after a decision: its `acts` and its `signal`."""
    kept = tuple(act for act in (*history.acts, *acts) if act.at > now - DAY_SECONDS)
    signals = {id_: one for id_, one in history.signals.items() if one.expires_at > now}
    if signal is not None:
        signals[signal.id] = signal
    return replace(history, acts=kept, signals=signals)


def acked(history: History, signal_id: str, result: str) -> History:
    """The history after a run said what it did with a signal, which is then not repeated."""
    results = {**{id_: one for id_, one in history.acked.items() if id_ != signal_id}, signal_id: result}
    return replace(history, acked=dict(list(results.items())[-_MOST_ACKED:]))


def drained(history: History, node: str, incident: str, now: float) -> History:
    """The history after a node was drained."""
    return replace(history, drained={**history.drained, node: Drained(at=now, incident=incident)})


def undrained(history: History, node: str) -> History:
    """The history after a node was given back."""
    return replace(history, drained={name: one for name, one in history.drained.items() if name != node})


def to_json(history: History) -> dict[str, Any]:
    """`history` as what `json.dumps` takes without loss."""
    return {"schema": "fryer/policy-history", "version": 1, **asdict(history)}


def from_json(document: Mapping[str, Any]) -> History:
    """The history that `to_json` wrote; raises `StoreError` for anything else."""
    if document.get("schema") != "fryer/policy-history" or document.get("version") != 1:
        raise StoreError(
            f"not a policy history of version 1: schema {document.get('schema')!r}, version "
            f"{document.get('version')!r}; set it aside and begin a new one"
        )
    try:
        return History(
            acts=tuple(Act(**{**act, "action": Action(act["action"])}) for act in document["acts"]),
            signals={
                id_: Signal(**{**signal, "action": Action(signal["action"])})
                for id_, signal in document["signals"].items()
            },
            acked=dict(document["acked"]),
            drained={node: Drained(**one) for node, one in document["drained"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"the policy history is damaged: {error!r}; set it aside and begin a new one") from error
