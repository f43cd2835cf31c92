"""Workers of a simulated fleet say what real ones would, on a clock that takes no time."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from fryer.collectives.cases import CollectiveCase
from fryer.exchange import encode
from fryer.fleet.hosts import Hosts
from fryer.fleet.orders import PROTOCOL, Collect, Collected, Ended, Hello, Message, Progress, Qualified, Qualify, Stop
from fryer.fleet.simulated import SimulatedHosts, unconcerned_in_fleet
from fryer.plan import Plan, make_plan
from fryer.verdict import judge
from watchdog.simulator.scenario import Scenario, parse
from watchdog.vocabulary.verdicts import Verdict

NODES = ("node001", "node002", "node003", "node004")


def scenario(*faults: str, nodes: str = "node[001-004]", seed: int = 1) -> Scenario:
    tables = "".join(f"[[fault]]\n{fault}\n" for fault in faults)
    return parse(f'seed = {seed}\n[fleet]\nnodes = "{nodes}"\n{tables}', file="test.toml")


def plan(nodes: Sequence[str] = NODES) -> Plan:
    return make_plan(
        nodes=nodes,
        seconds=60,
        dtypes=(),
        burns=(),
        seed=1,
        memory_ratio=None,
        scenario="test.toml",
        expected_gpus=None,
    )


def everything(hosts: Hosts, seconds: float) -> list[Message]:
    """All messages of that long."""
    end = hosts.now() + seconds
    found: list[Message] = []
    while hosts.now() < end:
        found += hosts.receive(end - hosts.now())
    return found


def everything_timed(hosts: Hosts, seconds: float) -> list[tuple[float, Message]]:
    """The same, each with when it came."""
    end = hosts.now() + seconds
    found: list[tuple[float, Message]] = []
    while hosts.now() < end:
        received = hosts.receive(end - hosts.now())
        found += [(hosts.now(), message) for message in received]
    return found


def make_plan_of(seconds: float) -> Plan:
    return make_plan(nodes=NODES, seconds=seconds, dtypes=(), burns=(), seed=1, memory_ratio=None, scenario="test.toml")


def started(*faults: str) -> SimulatedHosts:
    hosts = SimulatedHosts(scenario(*faults))
    hosts.start(NODES)
    everything(hosts, 20)
    return hosts


def collect(**changed: object) -> Collect:
    values: dict[str, object] = {
        "id": "c1",
        "groups": (NODES,),
        "cases": (CollectiveCase(operation="all_reduce", size_bytes=1 << 30),),
        "repeats": 3,
        "ranks_per_node": 0,
        "rail": None,
        "addresses": {},
        "port": 29500,
        "join_seconds": 10.0,
        "seconds": 60.0,
    }
    return Collect(**(values | changed))  # type: ignore[arg-type]


def test_each_worker_says_hello_once_with_its_address_and_the_software_of_this_controller() -> None:
    hosts = SimulatedHosts(scenario())
    hosts.start(NODES)
    hellos = [message for message in everything(hosts, 20) if isinstance(message, Hello)]
    assert sorted(hello.node for hello in hellos) == list(NODES)
    assert len({hello.addresses for hello in hellos}) == 4
    assert {(hello.protocol, hello.num_gpus) for hello in hellos} == {(PROTOCOL, 8)}
    assert all(hello.versions["fryer"] and hello.versions["driver"] for hello in hellos)


def test_the_clock_stands_still_between_calls_and_moves_as_far_as_it_was_told_to_wait() -> None:
    hosts = SimulatedHosts(scenario())
    assert hosts.now() == 0
    assert hosts.receive(12.5) == ()
    assert hosts.now() == 12.5


def test_a_message_ends_the_wait() -> None:
    hosts = SimulatedHosts(scenario())
    hosts.start(NODES)
    assert hosts.receive(100)
    assert hosts.now() < 1


def test_a_node_that_can_not_be_reached_ends_after_the_time_for_connecting_and_never_says_hello() -> None:
    hosts = SimulatedHosts(scenario('on = "node002"\nkind = "unreachable"'))
    hosts.start((*NODES, "stranger"))
    messages = everything(hosts, 30)
    ended = {message.node: message for message in messages if isinstance(message, Ended)}
    assert {node: end.code for node, end in ended.items()} == {"node002": "unreachable", "stranger": "unreachable"}
    assert "node002 port 22" in ended["node002"].stderr
    assert {m.node for m in messages if isinstance(m, Hello)} == {"node001", "node003", "node004"}


def test_a_node_with_other_software_says_so_in_its_hello() -> None:
    fault = 'on = "node003"\nkind = "version_skew"\npackage = "torch"\nversion = "2.1.0"'
    hosts = SimulatedHosts(scenario(fault))
    hosts.start(NODES)
    versions = {m.node: m.versions for m in everything(hosts, 5) if isinstance(m, Hello)}
    assert versions["node003"] == {**versions["node001"], "torch": "2.1.0"}


def test_every_node_shows_signs_of_life_and_then_its_evidence() -> None:
    hosts = started()
    hosts.send(Qualify(id="q1", plan=plan()))
    messages = everything(hosts, 60)
    for node in NODES:
        own = [message for message in messages if message.node == node]
        signs = [message for message in own if isinstance(message, Progress)]
        assert [sign.seconds for sign in signs] == [pytest.approx(5 * number) for number in range(10)]
        assert list(dict.fromkeys(sign.what for sign in signs)) == ["gemm", "memory", "hbm", "pcie", "p2p"]
        assert isinstance(own[-1], Qualified)
        assert (own[-1].order, own[-1].evidence.node) == ("q1", node)
    assert sum(isinstance(message, Qualified) for message in messages) == 4


@pytest.mark.parametrize("at", ["0s", "20s"])
def test_a_worker_that_dies_ends_once_and_says_nothing_after(at: str) -> None:
    hosts = SimulatedHosts(scenario(f'on = "node002"\nkind = "dies"\nat = "{at}"'))
    hosts.start(NODES)
    messages = everything(hosts, 5)
    hosts.send(Qualify(id="q1", plan=plan()))
    messages += everything(hosts, 100)
    own = [message for message in messages if message.node == "node002"]
    assert [type(message) for message in own if isinstance(message, Ended)] == [Ended]
    assert isinstance(own[-1], Ended)
    assert (own[-1].code, own[-1].exit_code, own[-1].stderr) == ("died", -9, "Killed")
    assert sum(isinstance(message, Qualified) for message in messages) == 3


def test_a_node_that_hangs_falls_silent_without_an_end() -> None:
    hosts = started('on = "node002"\nkind = "hang"\nat = "20s"')
    hosts.send(Qualify(id="q1", plan=plan()))
    own = [message for message in everything(hosts, 300) if message.node == "node002"]
    assert own
    assert all(isinstance(message, Progress) and message.seconds < 20 for message in own)
    hosts.send(Stop(reason="done"))
    assert sorted(message.node for message in everything(hosts, 10)) == ["node001", "node003", "node004"]


def test_waiting_for_a_node_that_does_not_answer_does_not_shift_the_times_of_other_faults() -> None:
    hosts = SimulatedHosts(
        scenario('on = "node002"\nkind = "dies"\nat = "10s"', 'on = "node003"\nkind = "unreachable"')
    )
    hosts.start(NODES)
    everything(hosts, 50)
    hosts.send(Qualify(id="q1", plan=plan()))
    assert not [message for message in everything(hosts, 9.9) if isinstance(message, Ended)]
    (death,) = [message for message in everything(hosts, 0.2) if isinstance(message, Ended)]
    assert death.node == "node002"


def test_what_is_clearly_wrong_is_told_before_the_end() -> None:
    hosts = started(
        'on = "node002/gpu1"\nkind = "wrong_bits"\nbits = 1\nat = "7s"',
        'on = "node003/gpu2"\nkind = "xid"\ncode = 79\nat = "12s"',
        'on = "node004/gpu3"\nkind = "slow"\nfactor = 0.9',
    )
    hosts.send(Qualify(id="q1", plan=plan()))
    told = {
        m.node: (m.seconds, m.problems)
        for m in reversed(everything(hosts, 60))
        if isinstance(m, Progress) and m.problems
    }
    assert told == {
        "node002": (10.0, ("gpu1: a product differs from the same product computed again",)),
        "node003": (15.0, ("gpu2: the driver reported Xid 79",)),
    }


def test_rank_0_of_a_group_sends_the_rows_and_the_others_only_that_they_are_done() -> None:
    hosts = started()
    cases = (
        CollectiveCase(operation="all_reduce", size_bytes=1 << 30),
        CollectiveCase(operation="all_gather", size_bytes=1 << 20),
    )
    hosts.send(collect(groups=(("node003", "node001"), ("node002", "node004")), cases=cases))
    found = {message.node: message for message in everything(hosts, 60) if isinstance(message, Collected)}
    assert set(found) == set(NODES)
    assert {node for node, message in found.items() if message.rows} == {"node003", "node002"}
    rows = found["node003"].rows
    assert [(row.case, row.repeat) for row in rows] == [(case, repeat) for case in cases for repeat in range(3)]
    assert {row.num_ranks for row in rows} == {16}
    assert all(not message.problem and not message.missing for message in found.values())


def test_a_worker_in_no_group_says_nothing() -> None:
    hosts = started()
    hosts.send(collect(groups=(("node001", "node002"),)))
    assert {message.node for message in everything(hosts, 60)} == {"node001", "node002"}


def test_a_member_that_hangs_gives_no_answer_and_the_others_name_it() -> None:
    hosts = started('on = "node002"\nkind = "hang"')
    hosts.send(collect())
    found = {message.node: message for message in everything(hosts, 60) if isinstance(message, Collected)}
    assert set(found) == set(NODES) - {"node002"}
    assert {message.missing for message in found.values()} == {("node002",)}
    assert {message.problem for message in found.values()} == {"node002 did not come within 10 s"}


def test_members_that_wait_for_another_show_signs_of_life_until_they_give_up() -> None:
    hosts = started('on = "node002"\nkind = "hang"')
    hosts.send(collect(groups=(("node001", "node002"), ("node003", "node004")), join_seconds=31.0))
    signs = [message for message in everything(hosts, 60) if isinstance(message, Progress)]
    assert {(sign.node, sign.order, sign.what) for sign in signs} == {("node001", "c1", "all_reduce")}
    assert [round(sign.seconds) for sign in signs] == [5, 10, 15, 20, 25, 30]


def test_a_member_that_dies_in_the_middle_leaves_the_rows_before_and_is_named() -> None:
    hosts = started('on = "node004"\nkind = "dies"\nat = "2s"')
    hosts.send(collect(repeats=200))
    messages = everything(hosts, 60)
    found = {message.node: message for message in messages if isinstance(message, Collected)}
    assert set(found) == set(NODES) - {"node004"}
    assert 0 < len(found["node001"].rows) < 200
    assert found["node003"].missing == ("node004",)
    assert "connection closed by node004" in found["node003"].problem
    assert [message.node for message in messages if isinstance(message, Ended)] == ["node004"]


def test_a_network_cut_in_the_middle_names_nobody_and_comes_with_the_deadline() -> None:
    hosts = started('on = "node004"\nkind = "link_down"\nat = "2s"')
    begin = hosts.now()
    hosts.send(collect(repeats=200, seconds=30.0))
    found = {message.node: message for message in everything(hosts, 60) if isinstance(message, Collected)}
    assert set(found) == set(NODES)
    assert 0 < len(found["node001"].rows) < 200
    assert {message.missing for message in found.values()} == {()}
    assert hosts.now() - begin >= 30


def test_a_group_that_needs_longer_than_the_deadline_sends_what_it_has() -> None:
    hosts = started()
    hosts.send(collect(repeats=10_000, seconds=20.0))
    found = {message.node: message for message in everything(hosts, 60) if isinstance(message, Collected)}
    assert 0 < len(found["node001"].rows) < 10_000
    assert "the time of 20 s was over" in found["node001"].problem


def test_after_a_stop_each_worker_ends_once_and_nothing_more_comes() -> None:
    hosts = started()
    hosts.send(Qualify(id="q1", plan=plan()))
    everything(hosts, 10)
    hosts.send(Stop(reason="Ctrl-C"))
    messages = everything(hosts, 200)
    assert sorted((message.node, message.code) for message in messages if isinstance(message, Ended)) == [
        (node, "done") for node in NODES
    ]
    assert len(messages) == 4


def test_after_close_nothing_comes() -> None:
    hosts = started()
    hosts.send(Qualify(id="q1", plan=plan()))
    hosts.close()
    assert everything(hosts, 200) == []


def story(seed: int) -> list[object]:
    hosts = SimulatedHosts(scenario('on = "node002"\nkind = "intermittent"', seed=seed))
    hosts.start(NODES)
    messages = everything(hosts, 20)
    hosts.send(Qualify(id="q1", plan=plan()))
    messages += everything(hosts, 100)
    hosts.send(collect())
    return [encode(message) for message in messages + everything(hosts, 60)]


def test_equal_scenarios_tell_equal_stories_and_another_seed_another() -> None:
    assert story(1) == story(1)
    assert story(1) != story(2)


@pytest.mark.parametrize(
    ("fault", "is_met"),
    [
        ('on = "node001"\nkind = "link_slow"\nfactor = 0.5', True),
        ('on = "node001"\nkind = "dies"', True),
        ('on = "node001/gpu1"\nkind = "lost"', True),
        ('on = "node001"\nkind = "disk_full"', False),
        ('on = "rank3"\nkind = "nan_batch"', False),
        ('on = "node001/gpu1"\nkind = "lost"\nstep = 4', False),
    ],
)
def test_faults_that_no_run_over_nodes_meets_are_told(fault: str, is_met: bool) -> None:
    assert (unconcerned_in_fleet(scenario(fault)) == ()) is is_met


@pytest.mark.parametrize(
    ("fault", "device"),
    [
        ('on = "node002/gpu3"\nkind = "wrong_bits"\nbits = 1\nat = "40s"', "gpu3"),
        ('on = "node002/gpu3"\nkind = "lost"\nat = "40s"', "gpu3"),
        ('on = "node002/gpu3"\nkind = "xid"\ncode = 79\nat = "40s"', "gpu3"),
    ],
    ids=["wrong", "lost", "Xid"],
)
def test_a_node_that_fails_beyond_doubt_ends_its_burns_early_and_the_others_go_on(fault: str, device: str) -> None:
    hosts = started(fault)
    begun = hosts.now()
    hosts.send(Qualify(id="q", plan=make_plan_of(3600)))
    first, *others = [m for m in everything_timed(hosts, 3700) if isinstance(m[1], Qualified)]
    assert (first[1].node, round(first[0] - begun)) in {("node002", seconds) for seconds in (45, 46)}
    assert {m.node for _, m in others} == {"node001", "node003", "node004"}
    assert all(at - begun >= 3600 * 0.8 for at, _ in others)  # the soak, two shares of ten, is not simulated
    evidence = first[1].evidence
    assert evidence.interrupted == f"a clear failure of {device} (--no-early-stop burns on)"
    verdict = judge(evidence)
    assert verdict.verdict is Verdict.FAIL
    assert [each.device for each in verdict.devices if each.verdict is Verdict.FAIL] == [device]
    ends = [point.at_seconds for figure in evidence.measurements for point in figure.series]
    assert max(ends) <= 45.0


def test_a_node_that_is_done_shows_no_signs_of_work() -> None:
    hosts = started('on = "node002/gpu3"\nkind = "lost"')
    begun = hosts.now()
    hosts.send(Qualify(id="q", plan=make_plan_of(3600)))
    signs = [at for at, m in everything_timed(hosts, 3700) if isinstance(m, Progress) and m.node == "node002"]
    assert max(signs) - begun <= 26.0


@pytest.mark.parametrize(
    ("fault", "seconds", "has_early_stop"),
    [
        ('on = "node002/gpu3"\nkind = "lost"', 3600, False),
        ('on = "node002/gpu3"\nkind = "lost"', 90, True),
        ('on = "node002/gpu3"\nkind = "slow"\nfactor = 0.8', 3600, True),
    ],
    ids=["not wanted", "little left", "merely slow"],
)
def test_else_it_burns_on(fault: str, seconds: float, has_early_stop: bool) -> None:
    hosts = started(fault)
    begun = hosts.now()
    hosts.send(Qualify(id="q", plan=replace(make_plan_of(seconds), has_early_stop=has_early_stop)))
    ends = {m.node: at - begun for at, m in everything_timed(hosts, 3700) if isinstance(m, Qualified)}
    assert set(ends) == set(NODES)
    assert all(end >= seconds * 0.8 for end in ends.values())
