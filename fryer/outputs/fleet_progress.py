"""Where a run over many nodes stands, kept from what a `FleetOutput` is told: the state behind its live view.

It draws nothing and reads no clock: each call brings the time.
"""

from collections import Counter
from dataclasses import dataclass, field

from fryer.fleet.orders import Collected, Message, Progress
from fryer.localise import Round
from fryer.outputs.fleet import STATES
from fryer.outputs.fleet_summary import fold
from fryer.outputs.fleet_table import trouble_of
from fryer.plan import Plan

SILENT_SECONDS = 20.0
"""A node at work says something each 5 s; one that has been silent for so long is shown."""
_WORKING = ("burning", "collecting")
_AFTER_BURNS = ("qualified", "collecting", "left out", "done")


@dataclass(slots=True)
class FleetProgress:
    """All nodes of a run."""

    plan: Plan
    run_id: str
    states: dict[str, str] = field(default_factory=dict)
    """By node, one of `STATES`."""
    works: dict[str, str] = field(default_factory=dict)
    """By node at work: at what."""
    done_seconds: dict[str, float] = field(default_factory=dict)
    """By node that burns: how long it has worked on its order."""
    heard_at: dict[str, float] = field(default_factory=dict)
    """By node: when it last said something, on our clock."""
    notes: dict[str, None] = field(default_factory=dict)
    """What went wrong, each once, newest last."""
    nodes: str = ""
    """Folded: ``node[001-048]``."""
    this: Round | None = None
    """The present round between nodes."""
    collected: set[str] = field(default_factory=set)
    """Nodes that have ended their part of it."""

    def begin(self) -> None:
        """All nodes of the plan wait."""
        self.states = dict.fromkeys(self.plan.nodes, STATES[0])
        self.nodes = fold(self.plan.nodes)

    def move(self, node: str, state: str, why: str, now: float) -> None:
        """A node came into another state."""
        self.states[node] = state
        self.heard_at[node] = now
        self.works.pop(node, None)
        if state == "left out":
            self._note(f"{node}: left out{f': {why}' if why else ''}")

    def take(self, message: Message, now: float) -> None:
        """A worker said something."""
        self.heard_at[message.node] = now
        match message:
            case Progress():
                self.works[message.node] = message.what
                if self.states.get(message.node) == "burning":
                    self.done_seconds[message.node] = message.seconds
            case Collected():
                self.collected.add(message.node)
        line = trouble_of(message)
        if line:
            self._note(line)

    def begin_round(self, this: Round) -> None:
        """Groups begin to measure together."""
        self.this = this
        self.collected.clear()

    def counts(self) -> list[tuple[str, int]]:
        """Each of `STATES` and how many nodes are in it."""
        found = Counter(self.states.values())
        return [(state, found[state]) for state in STATES]

    def tasks(self) -> list[tuple[str, int]]:
        """What nodes are at, most frequent first: ``gemm 40``."""
        return Counter(
            self.works[node] for node, state in self.states.items() if state in _WORKING and node in self.works
        ).most_common()

    def silent(self, now: float) -> list[tuple[str, float]]:
        """Nodes at work that have said nothing for `SILENT_SECONDS`, and for how long, longest first."""
        found = [
            (node, now - self.heard_at[node])
            for node, state in self.states.items()
            if state in _WORKING and node in self.heard_at and now - self.heard_at[node] > SILENT_SECONDS
        ]
        return sorted(found, key=lambda each: -each[1])

    def burn_ratio(self) -> float:
        """How much of all burns is done, 0 to 1: the mean over nodes; a node that is left out is done."""
        if not self.states:
            return 0.0
        whole = max(self.plan.seconds, 1e-9)
        done = sum(
            1.0
            if state in _AFTER_BURNS
            else min(1.0, self.done_seconds.get(node, 0.0) / whole)
            if state == "burning"
            else 0.0
            for node, state in self.states.items()
        )
        return done / len(self.states)

    def round_ratio(self) -> float:
        """How much of the present round is done, 0 to 1, by nodes."""
        members = {node for group in self.this.groups for node in group} if self.this else set()
        return len(self.collected & members) / len(members) if members else 0.0

    def _note(self, line: str) -> None:
        self.notes.setdefault(line)
