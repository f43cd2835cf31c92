"""The conductor over hosts that do as a script says: nobody holds up the others, and everything lost is named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
from fleet_results import info_of

from fryer.collectives.cases import CollectiveRow
from fryer.collectives.choice import parse_choice
from fryer.collectives.swept import Swept
from fryer.evidence import NodeEvidence
from fryer.fleet.conductor import conduct, nothing_past
from fryer.fleet.journal import Piece
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
    usual_inside: float = GOOD
    group: float = GOOD
    """Bus bandwidth of the sweep over all nodes."""
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
        devices = tuple(
            replace(device, uuid=f"{node}-{device.uuid}", memory_bytes=85_520_809_984) for device in evidence.devices
        )
        readings = {
            name: tuple(replace(reading, uuid=f"{node}-{reading.uuid}") for reading in those)
            for name, those in evidence.gpu_readings.items()
        }
        return replace(evidence, node=node, devices=devices, gpu_readings=readings)

    def _collected(self, order: Collect, group: tuple[str, ...]) -> list[Message]:
        has_bad = self.slow & set(group) and len(group) > 1 and order.rail in (None, *self.bad_rails)
        value = GOOD / 2 if has_bad else GOOD
        if len(group) == 1:
            value = self.inside.get(group[0], self.usual_inside)
        elif order.id == "sweep between":
            value = self.group
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


H100_PAIR = Interconnect(
    nvlink_bytes_per_second=450e9, has_switch=True, has_nvls=True, num_nics=8, nic_bytes_per_second=50e9
)


def sweeps(hosts: Scripted) -> dict[str, Collect]:
    return {order.id: order for order in hosts.sent if isinstance(order, Collect) and order.id.startswith("sweep")}


def with_collectives(count: int, *names: str, sizes: str = "") -> RunInfo:
    info = info_of(nodes(count))
    return replace(info, plan=replace(info.plan, collectives=parse_choice(names, sizes)))


def test_nodes_are_swept_inside_first_and_then_all_that_are_fit_as_one_group(scripted: Make) -> None:
    hosts = scripted(slow=frozenset({"node002"}))
    result = run(hosts, 5)
    found = sweeps(hosts)
    assert next(order.id for order in hosts.sent if isinstance(order, Collect)) == "sweep inside"
    assert found["sweep inside"].groups == tuple((node,) for node in nodes(5))
    assert found["sweep between"].groups == (("node001", "node003", "node004", "node005"),)
    assert found["sweep between"] is hosts.sent[-2]
    [swept] = result.group_sweeps
    assert swept.left_out == ("node002 is not among them: its own network is not fit",)
    assert {each.verdict for each in swept.judgements} == {"SKIPPED"}
    assert len(swept.rows) == len(found["sweep between"].cases)


def test_a_group_that_is_slow_though_each_pair_is_fit_fails_the_run_and_no_node(scripted: Make) -> None:
    hosts = scripted(interconnect=H100_PAIR, usual_inside=479e9, group=200e9)
    result = run(hosts)
    assert result.verdict == "FAIL"
    assert {verdict.verdict for verdict in result.verdicts} == {"PASS"}
    [swept] = result.group_sweeps
    assert {(each.verdict, each.code) for each in swept.judgements} == {("FAIL", "below_expected")}


def test_wrong_elements_of_the_group_name_the_node_of_their_rank(scripted: Make) -> None:
    result = run(scripted(num_wrong=4))
    assert result.verdict == "FAIL"
    [swept] = result.group_sweeps
    assert [each.evidence["wrong_nodes"] for each in swept.judgements] == [["node002"]] * 2


def test_a_node_that_is_slow_inside_fails_by_itself_and_the_network_is_measured_without_it(scripted: Make) -> None:
    hosts = scripted(interconnect=H100_PAIR, inside={"node003": 300e9}, usual_inside=479e9, group=330e9)
    result = run(hosts)
    [reason] = [r for v in result.verdicts if v.node == "node003" for r in v.reasons if r.verdict == "FAIL"]
    assert reason.code == "slow_inside"
    assert reason.message.startswith("inside the node all_reduce over 8 ranks reached 300 GB/s at 8 GiB")
    assert reason.repeat == "fryer run --nodes node003 --collectives all_reduce --simulate fleet.toml"
    assert {v.node for v in result.verdicts if v.verdict != "PASS"} == {"node003"}
    measured = {n for o in hosts.sent if isinstance(o, Collect) for g in o.groups if len(g) > 1 for n in g}
    assert measured == {"node001", "node002", "node004"}


def test_two_nodes_that_nobody_can_tell_apart_are_not_swept(scripted: Make) -> None:
    result = run(scripted(slow=frozenset({"node001"}), interconnect=H100_PAIR, usual_inside=479e9), 2)
    [swept] = result.group_sweeps
    assert swept.judgements[0].verdict == "SKIPPED"
    assert swept.judgements[0].message == ("no sweep between nodes: 0 of 2 nodes are known to be fit, and it takes two")
    assert result.verdict == "INCONCLUSIVE"


def test_the_platforms_figure_tells_of_two_nodes_that_both_are_slow(scripted: Make) -> None:
    healthy = run(scripted(interconnect=H100_PAIR, usual_inside=479e9), 2)
    assert healthy.network is not None
    assert healthy.network.expected_bytes_per_second == GOOD
    assert not any("compared with nothing" in sentence for sentence in healthy.proof)


def test_operations_and_sizes_that_were_asked_for_are_swept_inside_and_between(scripted: Make) -> None:
    hosts = scripted()
    info = with_collectives(2, "alltoall", "broadcast", sizes="1M:4M:2")
    conduct(info, hosts, Heard(), Stopper(), past=nothing_past, network=NetworkPlan())
    for order in sweeps(hosts).values():
        assert {(case.operation, case.size_bytes >> 20) for case in order.cases} == {
            (operation, size) for operation in ("alltoall", "broadcast") for size in (1, 2, 4)
        }
    assert len(sweeps(hosts)) == 2


def test_none_is_swept_where_nobody_wants_it(scripted: Make) -> None:
    hosts = scripted()
    result = conduct(with_collectives(4, "none"), hosts, Heard(), Stopper(), past=nothing_past, network=NetworkPlan())
    assert (sweeps(hosts), result.group_sweeps) == ({}, ())


def test_a_run_that_goes_on_measures_no_sweep_again_and_keeps_its_rounds(scripted: Make) -> None:
    kept: list[Piece] = []
    first = run(scripted(), keep=kept.append)
    assert first.network is not None
    assert tuple(each for each in kept if isinstance(each, Round)) == first.network.rounds
    assert tuple(each for each in kept if isinstance(each, Swept)) == first.network.sweeps
    evidence = {each.node: each for each in kept if isinstance(each, NodeEvidence)}
    hosts = scripted()
    again = run(hosts, known=Gathered(evidence=evidence, network=first.network))
    assert not any(isinstance(order, Collect) for order in hosts.sent)
    assert again.network is not None
    assert (again.network.rounds, again.network.sweeps) == (first.network.rounds, first.network.sweeps)


def test_a_member_that_dies_in_the_sweep_is_named_and_what_came_is_judged(scripted: Make) -> None:
    hosts = scripted()

    def die(order: Order) -> None:
        if isinstance(order, Collect) and order.id == "sweep between":
            [first] = [m for m in hosts.coming if isinstance(m, Collected) and m.rows]
            hosts.coming = [
                replace(first, rows=first.rows[:3], problem="node004 was lost", missing=("node004",)),
                *(m for m in hosts.coming if m is not first and m.node != "node004"),
                Ended(node="node004", code="died", message="killed by signal 9", stderr="Killed"),
            ]

    hosts.then = die
    result = run(hosts)
    [swept] = result.group_sweeps
    assert (swept.missing, len(swept.rows)) == (("node004",), 3)
    assert any("cases gave nothing: node004 was lost" in words for words in swept.left_out)
    assert "died" in reasons(result)["node004"]
