"""What is swept, over whom, and what a group's answers come to."""

from dataclasses import replace

import pytest
from fleet_results import device

from fryer.collectives.choice import parse_choice
from fryer.evidence import DeviceInfo, NodeEvidence
from fryer.fleet.orders import PROTOCOL, Collected, Hello, Interconnect
from fryer.fleet.sweeps import Planned, common, conclude, fit_nodes, memory_of, plan_between, plan_inside, platform_of
from fryer.localise import LinkFinding, Localisation, NodeFinding
from watchdog.vocabulary.verdicts import Verdict

H100 = Interconnect(
    nvlink_bytes_per_second=450e9, has_switch=True, has_nvls=True, num_nics=8, nic_bytes_per_second=50e9
)
NODES = ("node001", "node002", "node003", "node004")
NOTHING = Localisation(nodes=(), links=(), proof=(), expected_bytes_per_second=378e9, num_rounds=3)


def hello(node: str, num_gpus: int = 8, links: Interconnect = H100) -> Hello:
    return Hello(
        node=node, protocol=PROTOCOL, versions={}, addresses=("10.0.0.1",), num_gpus=num_gpus, interconnect=links
    )


def hellos(num_gpus: int = 8) -> dict[str, Hello]:
    return {node: hello(node, num_gpus) for node in NODES}


def evidence(memory_bytes: int = 80 << 30) -> dict[str, NodeEvidence]:
    return {
        node: NodeEvidence(node=node, devices=(replace(device(node, 0), memory_bytes=memory_bytes),), versions={})
        for node in NODES
    }


def finding(node: str, verdict: Verdict) -> NodeFinding:
    return NodeFinding(node=node, verdict=verdict, code="slow_network", proof="")


def link(verdict: Verdict, *nodes: str) -> LinkFinding:
    return LinkFinding(nodes=(nodes[0], nodes[1]), verdict=verdict, code="slow_path", proof="")


def sizes(planned: object) -> set[int]:
    assert isinstance(planned, Planned)
    return {case.size_bytes for case in planned.sweep.cases}


def test_what_most_nodes_say_of_their_links_counts_and_what_only_half_say_does_not() -> None:
    other = replace(H100, num_nics=7, has_nvls=None)
    assert common([hello("a"), hello("b"), hello("c", links=other)]) == H100
    half = common([hello("a"), hello("b", links=other)])
    assert (half.num_nics, half.has_nvls, half.nvlink_bytes_per_second) == (None, None, 450e9)


@pytest.mark.parametrize("counts", [(8, 4), (0, 0)])
def test_nodes_of_unlike_or_no_gpus_have_no_platform(counts: tuple[int, int]) -> None:
    assert platform_of([hello("a", counts[0]), hello("b", counts[1])], 2) is None


def test_nodes_that_a_finding_is_about_and_one_end_of_a_bad_path_are_left_out_with_the_reason() -> None:
    found = replace(
        NOTHING,
        nodes=(finding("node001", Verdict.FAIL), finding("node002", Verdict.WARN)),
        links=(link(Verdict.FAIL, "node003", "node004"), link(Verdict.WARN, "node002", "node003")),
    )
    assert fit_nodes(NODES, found) == (
        ["node002", "node003"],
        [
            "node001 is not among them: its own network is not fit",
            "node004 is not among them: its path to node003 is bad",
        ],
    )


def test_a_path_of_a_node_that_is_left_out_anyway_costs_no_second_one() -> None:
    found = replace(
        NOTHING,
        nodes=(finding("node001", Verdict.FAIL),),
        links=(link(Verdict.FAIL, "node001", "node002"),),
    )
    assert fit_nodes(NODES, found)[0] == ["node002", "node003", "node004"]


def test_inside_nodes_one_large_size_is_measured_that_the_memory_holds() -> None:
    assert sizes(plan_inside(None, NODES, hellos(), evidence())) == {8 << 30}
    assert sizes(plan_inside(None, NODES, hellos(), evidence(16 << 30))) == {4 << 30}


def test_a_node_with_one_gpu_has_nothing_inside() -> None:
    assert plan_inside(None, NODES, hellos(1), evidence()) is None
    planned = plan_inside(None, NODES, {**hellos(1), "node002": hello("node002")}, evidence())
    assert isinstance(planned, Planned)
    assert planned.groups == (("node002",),)


def test_a_run_over_one_node_with_one_rank_says_why_nothing_was_swept() -> None:
    swept = plan_inside(parse_choice(["all"], ""), ["node001"], {"node001": hello("node001", 0)}, {})
    assert not isinstance(swept, Planned)
    assert swept is not None
    assert [(each.verdict, each.message) for each in swept.judgements] == [
        ("SKIPPED", "nothing to sweep inside node001: it has one rank, and a collective takes two")
    ]


def test_between_nodes_the_sweep_goes_from_small_sizes_to_the_plateau() -> None:
    planned = plan_between(None, NODES, NOTHING, hellos(), evidence())
    assert sizes(planned) == {8 * 8**power for power in range(11)}
    assert isinstance(planned, Planned)
    assert planned.platform is not None
    assert (planned.platform.num_nodes, planned.platform.num_nics) == (4, 8)


def test_nodes_without_gpus_have_a_short_sweep_and_no_expectation() -> None:
    planned = plan_between(None, NODES, replace(NOTHING, expected_bytes_per_second=100e6), hellos(0), {})
    assert isinstance(planned, Planned)
    assert max(sizes(planned)) <= 8 << 20
    assert planned.platform is None
    assert planned.sweep.seconds <= 8


def test_a_sweep_for_which_there_is_no_memory_is_skipped_with_the_reason() -> None:
    swept = plan_between(parse_choice([], "8G"), NODES, NOTHING, hellos(), evidence(1 << 30))
    assert not isinstance(swept, Planned)
    assert swept is not None
    assert swept.judgements[0].verdict == "SKIPPED"
    assert "do not fit" in swept.judgements[0].message


def test_the_smallest_device_decides_how_much_memory_a_rank_takes() -> None:
    mixed = {**evidence(), "node003": evidence(10 << 30)["node003"]}
    assert memory_of(NODES, mixed, has_gpus=True) == int((10 << 30) * 0.7)
    cpu = DeviceInfo(name="cpu0", kind="cpu", part="", uuid="", memory_bytes=100 << 30)
    one = {"node001": NodeEvidence(node="node001", devices=(cpu,), versions={})}
    assert memory_of(("node001",), one, has_gpus=False) == 2 << 30
    assert memory_of(NODES, {}, has_gpus=True) == 1 << 30


def test_a_group_of_which_nobody_answered_is_an_error_and_says_so() -> None:
    planned = plan_between(None, NODES, NOTHING, hellos(), evidence())
    assert isinstance(planned, Planned)
    swept = conclude(planned, NODES, {}, ())
    assert {(each.verdict, each.code) for each in swept.judgements} == {("ERROR", "not_measured")}
    assert swept.judgements[0].message.endswith(": nobody answered")


def test_a_group_that_broke_says_why() -> None:
    planned = plan_between(None, NODES, NOTHING, hellos(), evidence())
    assert isinstance(planned, Planned)
    told = {"node001": Collected(node="node001", order="", problem="no connection")}
    swept = conclude(planned, NODES, told, ("node002",))
    assert swept.missing == ("node002",)
    assert swept.left_out == ("22 of 22 cases gave nothing: no connection",)
