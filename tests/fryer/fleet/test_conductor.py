"""The conductor over hosts that do as a script says: nobody holds up the others, and everything lost is named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
from fleet_results import info_of

from fryer.collectives.cases import CollectiveRow
from fryer.evidence import NodeEvidence
from fryer.fleet.conductor import conduct, nothing_past
from fryer.fleet.merge import Gathered
from fryer.fleet.network_plan import NetworkPlan
from fryer.fleet.orders import (
    PROTOCOL,
    Collect,
    Collected,
    Ended,
    Hello,
    Interconnect,
    Message,
    Order,
    Qualified,
    Qualify,
    Stop,
)
from fryer.localise import Round, Trial
from fryer.platform import versions
from fryer.result import RunInfo, RunResult
from fryer.stopper import Stopper

GOOD = 380e9


@dataclass
class Scripted:
    """Hosts on a clock that goes on by what `receive` waits."""

    make: SimpleNamespace
    silent: frozenset[str] = frozenset()
    """Say Hello and nothing more."""
    absent: frozenset[str] = frozenset()
    """Never say anything."""
    version: dict[str, str] = field(default_factory=dict)
    slow: frozenset[str] = frozenset()
    bad_rails: tuple[int, ...] = tuple(range(8))
    """Of the slow nodes."""
    inside: Mapping[str, float] = field(default_factory=dict)
    """Bus bandwidth inside a node, where it is not that of the others."""
    num_wrong: int = 0
    """Wrong elements of each row of the sweep over all nodes, all on rank 9."""
    interconnect: Interconnect = field(default_factory=Interconnect)
    then: Callable[[Order], None] = lambda _: None
    sent: list[Order] = field(default_factory=list)
    is_closed: bool = False
    clock: float = 0.0
    coming: list[Message] = field(default_factory=list)
    nodes: tuple[str, ...] = ()

    def start(self, nodes: Sequence[str]) -> None:
        self.nodes = tuple(nodes)
        for node in nodes:
            if node not in self.absent:
                version = {**versions(), **({"fryer": self.version[node]} if node in self.version else {})}
                self.coming.append(
                    Hello(
                        node=node,
                        protocol=PROTOCOL,
                        versions=version,
                        addresses=("10.0.0.1",),
                        num_gpus=8,
                        interconnect=self.interconnect,
                    )
                )

    def send(self, order: Order) -> None:
        self.sent.append(order)
        speaking = [node for node in self.nodes if node not in self.silent | self.absent]
        if isinstance(order, Qualify):
            self.coming += [Qualified(node=n, order=order.id, evidence=self._evidence(n)) for n in speaking]
        if isinstance(order, Collect):
            for group in order.groups:
                self.coming += self._collected(order, group)
        self.then(order)

    def _evidence(self, node: str) -> NodeEvidence:
        evidence = self.make.h100s([730e12] * 8)
        devices = tuple(replace(device, uuid=f"{node}-{device.uuid}") for device in evidence.devices)
        readings = {
            name: tuple(replace(reading, uuid=f"{node}-{reading.uuid}") for reading in those)
            for name, those in evidence.gpu_readings.items()
        }
        return replace(evidence, node=node, devices=devices, gpu_readings=readings)

    def _collected(self, order: Collect, group: tuple[str, ...]) -> list[Message]:
        has_bad = self.slow & set(group) and len(group) > 1 and order.rail in (None, *self.bad_rails)
        value = GOOD / 2 if has_bad else self.inside.get(group[0], GOOD) if len(group) == 1 else GOOD
        rows = tuple(
            CollectiveRow(
                case=case,
                repeat=repeat,
                num_ranks=8 * len(group),
                seconds=0.005,
                algbw_bytes_per_second=value,
                busbw_bytes_per_second=value,
                num_wrong=self.num_wrong if order.id == "sweep between" else 0,
                slowest_seconds=0.006,
                wrong_ranks=(9,) if self.num_wrong else (),
            )
            for case in order.cases
            for repeat in range(order.repeats)
        )
        return [Collected(node=node, order=order.id, rows=rows if node == group[0] else ()) for node in group]

    def receive(self, seconds: float) -> Sequence[Message]:
        if self.coming:
            found, self.coming = self.coming, []
            return found
        self.clock += seconds
        return ()

    def now(self) -> float:
        return self.clock

    def close(self) -> None:
        self.is_closed = True


class Heard:
    """A `FleetOutput` that only remembers."""

    def __init__(self) -> None:
        self.states: list[tuple[str, str, str]] = []
        self.rounds: list[Round] = []

    def start(self, info: RunInfo) -> None:
        """Nothing to remember."""

    def state(self, node: str, state: str, why: str = "") -> None:
        self.states.append((node, state, why))

    def message(self, message: Message) -> None:
        """Nothing to remember."""

    def round(self, this: Round) -> None:
        self.rounds.append(this)

    def sweep(self, scope: str, groups: tuple[tuple[str, ...], ...], what: str) -> None:
        """Nothing to remember."""

    def finish(self, result: RunResult) -> None:
        """Nothing to remember."""

    def close(self) -> None:
        """Nothing is held."""


Make = Callable[..., Scripted]


@pytest.fixture
def scripted(make: SimpleNamespace) -> Make:
    def made(**more: object) -> Scripted:
        return Scripted(make=make, **more)  # type: ignore[arg-type]

    return made


def nodes(count: int) -> tuple[str, ...]:
    return tuple(f"node{index:03}" for index in range(1, count + 1))


def run(hosts: Scripted, count: int = 4, *, stopper: Stopper | None = None, **more: object) -> RunResult:
    more = {"past": nothing_past, "network": NetworkPlan(), **more}
    return conduct(info_of(nodes(count)), hosts, Heard(), stopper or Stopper(), **more)  # type: ignore[arg-type]


def reasons(result: RunResult) -> dict[str, set[str]]:
    """By node: codes of what concerns the node as a whole, notes aside."""
    return {v.node: {r.code for r in v.reasons if r.verdict not in ("PASS", "SKIPPED")} for v in result.verdicts}


def test_healthy_nodes_pass_and_every_worker_is_ended(scripted: Make) -> None:
    hosts = scripted()
    result = run(hosts)
    assert result.verdict == "PASS"
    assert [type(order) for order in hosts.sent[:2]] == [Qualify, Collect]
    assert isinstance(hosts.sent[-1], Stop)
    assert hosts.is_closed
    assert result.network is not None
    assert len(result.network.trials) >= 4


def test_a_node_that_never_says_hello_is_left_out_at_the_deadline(scripted: Make) -> None:
    result = run(scripted(absent=frozenset({"node002"})))
    assert reasons(result) == {"node001": set(), "node002": {"deadline"}, "node003": set(), "node004": set()}
    assert result.verdict == "ERROR"


def test_a_silent_node_holds_up_nobody_for_longer_than_its_silence_may_last(scripted: Make) -> None:
    hosts = scripted(silent=frozenset({"node003"}))
    result = run(hosts)
    assert reasons(result)["node003"] == {"deadline"}
    assert 60 < hosts.clock < 70
    measured = {node for order in hosts.sent if isinstance(order, Collect) for group in order.groups for node in group}
    assert measured == {"node001", "node002", "node004"}


def test_a_worker_of_another_version_is_an_error_and_measures_nothing(scripted: Make) -> None:
    result = run(scripted(version={"node004": "9.9"}))
    assert reasons(result)["node004"] == {"version_skew"}


def test_a_slow_node_is_told_by_its_partners_with_the_command_that_repeats_it(scripted: Make) -> None:
    result = run(scripted(slow=frozenset({"node002"})))
    [reason] = [r for v in result.verdicts if v.node == "node002" for r in v.reasons if r.code == "slow_network"]
    assert reason.verdict == "FAIL"
    assert "node002 failed with node001" in reason.message
    assert reason.repeat.startswith("fryer run --nodes node002,node003,node004,node001")
    assert reasons(result)["node001"] == set()


def test_the_rail_that_holds_a_slow_node_is_told(scripted: Make) -> None:
    result = run(scripted(slow=frozenset({"node002"}), bad_rails=(3,)))
    [reason] = [r for v in result.verdicts if v.node == "node002" for r in v.reasons if r.code == "slow_network"]
    assert "on rail 3 node002 failed with" in reason.message
    assert "rail 4" not in reason.message
    assert set(reason.evidence["rails"]) == {"3"}  # type: ignore[call-overload]


def test_rails_of_healthy_nodes_are_not_measured(scripted: Make) -> None:
    hosts = scripted()
    run(hosts)
    assert {order.rail for order in hosts.sent if isinstance(order, Collect)} == {None}


def test_a_node_that_dies_in_a_round_is_named_and_the_rounds_go_on(scripted: Make) -> None:
    hosts = scripted()

    def die(order: Order) -> None:
        if isinstance(order, Collect) and order.id == "round1":
            hosts.coming = [m for m in hosts.coming if m.node != "node001"]
            hosts.coming.append(Ended(node="node001", code="died", message="killed by signal 9", stderr="Killed"))
            hosts.silent = frozenset({"node001"})

    hosts.then = die
    result = run(hosts)
    assert "died" in reasons(result)["node001"]
    assert all(not codes for node, codes in reasons(result).items() if node != "node001")


def test_without_the_network_each_node_stands_for_itself(scripted: Make) -> None:
    hosts = scripted()
    result = run(hosts, network=None)
    assert not any(isinstance(order, Collect) for order in hosts.sent)
    assert result.network is None
    assert result.verdict == "PASS"


def test_a_stop_judges_what_was_found_until_then(scripted: Make) -> None:
    stopper = Stopper()
    hosts = scripted(then=lambda order: stopper.stop("Ctrl-C") if isinstance(order, Qualify) else None)
    result = run(hosts, stopper=stopper)
    assert result.verdict == "INCONCLUSIVE"
    assert hosts.is_closed


def test_what_an_earlier_run_has_is_not_measured_again(scripted: Make) -> None:
    kept: list[NodeEvidence | Trial] = []
    first = run(scripted(), keep=kept.append)
    evidence = {each.node: each for each in kept if isinstance(each, NodeEvidence)}
    assert set(evidence) == set(nodes(4))
    hosts = scripted()
    again = run(hosts, known=Gathered(evidence=evidence, network=first.network))
    assert not any(isinstance(order, Qualify | Collect) for order in hosts.sent)
    assert reasons(again) == reasons(first)
