"""A fleet out of a scenario file in place of real nodes: `Hosts` on a clock of its own, without threads or sleeping.

What a worker would send is put on a schedule, and `receive` jumps to the next entry. Evidence is made when it is due,
so that no more of it exists than the conductor keeps. Equal scenarios, plans and orders give equal messages.

Times of faults count from the first order, so that waiting for a node that does not answer shifts nothing; what begins
at 0 s is there from the start. `unreachable`, `dies`, `version_skew` and `hang` of a whole node
concern its worker; faults of GPUs its evidence (`simulated_node`); those of nodes, NICs and paths its collectives
(`simulated_links`, `simulated_collect`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush

from fryer.evidence import NodeEvidence
from fryer.fleet.orders import (
    PROTOCOL,
    Collect,
    Contact,
    Ended,
    Hello,
    Message,
    Order,
    Progress,
    Qualified,
    Qualify,
    Stop,
)
from fryer.fleet.simulated_collect import Group, Silence
from fryer.fleet.simulated_early import EarlyEnds
from fryer.fleet.simulated_faults import clear_failures
from fryer.fleet.simulated_links import Links, by_node, chance
from fryer.fleet.simulated_node import SimulatedQualification
from fryer.fleet.simulated_timeline import spans
from fryer.hardware import SIMULATED
from fryer.platform import versions as own_versions
from watchdog.simulator.fault import Fault
from watchdog.simulator.identity import DRIVER
from watchdog.simulator.scenario import Scenario

SIMULATED_IN_FLEET = SIMULATED | {
    "link_slow",
    "link_flap",
    "link_down",
    "partition",
    "unreachable",
    "dies",
    "version_skew",
    "intermittent",
}
"""Kinds of fault that a run over many nodes meets."""
TOGETHER_SECONDS = 0.05
"""Messages so close to each other are received at once."""
_STARTS_SECONDS, _SPREAD_SECONDS = 0.2, 0.5
_LEAST_PERIOD, _MOST_PERIOD, _NUM_SIGNS = 5.0, 30.0, 12
"""Signs of life: so many in a burn-in, but no closer and no rarer than this."""
_OTHER_VERSION = "0.0.1"

_Due = Callable[[], Iterable[Message]]


def unconcerned_in_fleet(scenario: Scenario) -> tuple[str, ...]:
    """Faults of a scenario that a run over many nodes does not meet: of hosts, trainings and daemons, or at a step."""
    return tuple(
        f"{fault.kind} on {fault.on}"
        for fault in scenario.faults
        if fault.kind not in SIMULATED_IN_FLEET or fault.step is not None
    )


class SimulatedHosts:
    """Workers on the nodes of a scenario."""

    def __init__(self, scenario: Scenario, contact: Contact | None = None) -> None:
        """`contact`: how long a node that does not answer is waited for."""
        self._scenario = scenario
        self._contact = contact or Contact()
        self._links = Links(scenario)
        self._faults: Mapping[str, tuple[Fault, ...]] = by_node(f for f in scenario.faults if f.step is None)
        self._versions = {**own_versions(), "driver": DRIVER}
        self._places = {node: place for place, node in enumerate(scenario.fleet.node_names)}
        self._alive: dict[str, float] = {}
        """Nodes whose worker runs, and since when."""
        self._burnt: set[str] = set()
        """Nodes that are done with the present `Qualify`."""
        self._due: list[tuple[float, int, _Due]] = []
        self._num_due = 0
        self._now = 0.0
        self._origin: float | None = None
        """When the first order came: 0 s on the scenario's clock."""

    def start(self, nodes: Sequence[str]) -> None:
        """Begin to start one worker a node; each answers later with `Hello` or `Ended`."""
        for node in nodes:
            starts = self._now + _STARTS_SECONDS + _SPREAD_SECONDS * chance(self._scenario, node, "start")
            if node not in self._places or self._is_active(node, "unreachable"):
                self._at(self._now + self._contact.connect_seconds, partial(self._unreachable, node))
                continue
            self._alive[node] = starts
            self._at(starts, partial(self._hello, node))
            if self._first(node, "dies") == 0:
                self._at(starts, partial(self._die, node))

    def send(self, order: Order) -> None:
        """To all workers that live; returns at once."""
        if self._origin is None:
            self._origin = self._now
            for node in self._alive:
                if death := self._first(node, "dies"):
                    self._at(self._origin + death, partial(self._die, node))
        match order:
            case Qualify():
                self._qualify(order)
            case Collect():
                self._collect(order)
            case Stop():
                self._due.clear()
                self._at(self._now, self._end_all)

    def receive(self, seconds: float) -> Sequence[Message]:
        """What comes first within `seconds` of the simulation's clock, and what comes with it; takes no real time."""
        deadline = self._now + seconds
        while self._due and self._due[0][0] <= deadline:
            until = min(deadline, self._due[0][0] + TOGETHER_SECONDS)
            messages: list[Message] = []
            while self._due and self._due[0][0] <= until:
                at, _, due = heappop(self._due)
                self._now = max(self._now, at)
                messages += due()
            if messages:
                return messages
        self._now = max(self._now, deadline)
        return ()

    def now(self) -> float:
        """Seconds on the simulation's clock; 0 when it was made."""
        return self._now

    def close(self) -> None:
        """End all workers; nothing is received any more."""
        self._alive.clear()
        self._due.clear()

    def _at(self, at_seconds: float, due: _Due) -> None:
        self._num_due += 1
        heappush(self._due, (at_seconds, self._num_due, due))

    def _qualify(self, order: Qualify) -> None:
        begin = self._now
        self._burnt.clear()
        qualification = SimulatedQualification(self._scenario, order.plan, self._scenario_now, self._versions)
        for at, burn in self._signs(order, qualification.seconds):
            self._at(begin + at, partial(self._progress, order.id, burn, begin))
        ends = EarlyEnds(self._scenario, order.plan, self._scenario_now, self._versions)
        for node in self._alive:
            late = chance(self._scenario, node, "end")
            faults = [f for f in self._faults.get(node, ()) if _is_of_gpus(f)]
            if early := ends.end_of(node, faults):
                make = partial(ends.evidence, node, faults, early)
            else:
                make = partial(qualification.evidence, node, faults)
            self._at(begin + (early or qualification.seconds) + late, partial(self._qualified, order.id, node, make))

    def _collect(self, order: Collect) -> None:
        shift = self._now - self._scenario_now
        ends: dict[str, float] = {}
        for nodes in order.groups:
            group = Group(order, nodes, self._scenario_now, self._scenario, self._links, self._silence)
            for at, collected in group.events():
                ends[collected.node] = at + shift
                self._at(at + shift, partial(self._say, collected))
        what = order.cases[0].operation if order.cases else ""
        for number in range(1, int((max(ends.values(), default=self._now) - self._now) / _LEAST_PERIOD) + 1):
            at = self._now + number * _LEAST_PERIOD
            busy = [node for node, end in ends.items() if end > at]
            self._at(at, partial(self._collecting, order.id, what, self._now, busy))

    @property
    def _scenario_now(self) -> float:
        return 0.0 if self._origin is None else self._now - self._origin

    @staticmethod
    def _signs(order: Qualify, seconds: float) -> list[tuple[float, str]]:
        """When all workers say which burn they are at: from 0 s, and each few seconds."""
        burns = [span for span in spans(order.plan) if span.end_seconds > span.begin_seconds]
        period = min(_MOST_PERIOD, max(_LEAST_PERIOD, seconds / _NUM_SIGNS))
        times = [place * period for place in range(int(seconds / period) + 1)]
        return [(at, next((s.burn for s in burns if at < s.end_seconds), burns[-1].burn)) for at in times if burns]

    def _hello(self, node: str) -> Iterable[Message]:
        if not self._speaks(node):
            return
        versions = dict(self._versions)
        for fault in self._faults.get(node, ()):
            if fault.kind == "version_skew" and fault.is_active(self._scenario_now):
                versions[fault.package or "fryer"] = fault.version or _OTHER_VERSION
        place = self._places[node]
        yield Hello(
            node=node,
            protocol=PROTOCOL,
            versions=versions,
            addresses=(f"10.{place >> 16 & 255}.{place >> 8 & 255}.{place & 255}",),
            num_gpus=self._scenario.fleet.gpus_per_node,
            interconnect=self._links.interconnect,
        )

    def _unreachable(self, node: str) -> Iterable[Message]:
        seconds = self._contact.connect_seconds
        yield Ended(
            node=node,
            code="unreachable",
            message=f"{node} did not answer within {seconds:.0f} s; see whether it is up and its network works",
            stderr=f"ssh: connect to host {node} port 22: Connection timed out",
            exit_code=255,
        )

    def _die(self, node: str) -> Iterable[Message]:
        if self._alive.pop(node, None) is None:
            return
        yield Ended(
            node=node,
            code="died",
            message=f"the worker on {node} was killed by signal 9; see dmesg there for what killed it",
            stderr="Killed",
            exit_code=-9,
        )

    def _progress(self, order: str, burn: str, begin_seconds: float) -> Iterable[Message]:
        seconds = self._now - begin_seconds
        for node in [node for node in self._alive if node not in self._burnt]:
            if self._speaks(node) and self._alive[node] <= begin_seconds:
                faults = self._faults.get(node, ())
                problems = clear_failures(node, faults, self._scenario_now) if faults else ()
                yield Progress(node=node, order=order, what=burn, seconds=seconds, problems=problems)

    def _collecting(self, order: str, what: str, begin_seconds: float, busy: Sequence[str]) -> Iterable[Message]:
        """Signs of life of members that still measure or wait for others."""
        for node in busy:
            if self._speaks(node):
                yield Progress(node=node, order=order, what=what, seconds=self._now - begin_seconds)

    def _qualified(self, order: str, node: str, make: Callable[[], NodeEvidence]) -> Iterable[Message]:
        self._burnt.add(node)
        if self._speaks(node):
            yield Qualified(node=node, order=order, evidence=make())

    def _say(self, message: Message) -> Iterable[Message]:
        if self._speaks(message.node):
            yield message

    def _end_all(self) -> Iterable[Message]:
        for node in [node for node in self._alive if self._speaks(node)]:
            del self._alive[node]
            yield Ended(node=node, code="done", message=f"the worker on {node} ended when it was told to", exit_code=0)

    def _speaks(self, node: str) -> bool:
        """It lives and does not hang."""
        hang = self._first(node, "hang")
        return node in self._alive and (hang is None or self._scenario_now < hang)

    def _silence(self, node: str) -> Silence | None:
        """When a worker stops to take part in collectives."""
        if node not in self._alive:
            return Silence(at_seconds=0.0, is_dead=True)
        found = [
            Silence(at_seconds=at, is_dead=kind == "dies")
            for kind in ("dies", "hang")
            if (at := self._first(node, kind)) is not None
        ]
        return min(found, key=lambda silence: silence.at_seconds, default=None)

    def _first(self, node: str, kind: str) -> float | None:
        """When the first fault of that kind on the node as a whole begins."""
        times = [f.at_seconds for f in self._faults.get(node, ()) if f.kind == kind and f.unit is None]
        return min(times, default=None)

    def _is_active(self, node: str, kind: str) -> bool:
        return any(f.kind == kind and f.is_active(self._scenario_now) for f in self._faults.get(node, ()))


def _is_of_gpus(fault: Fault) -> bool:
    """It shows in the evidence of a node; one that hangs as a whole gives none."""
    if fault.unit is None:
        return fault.kind in SIMULATED and fault.kind != "hang"
    return fault.unit.startswith("gpu")
