"""Bandwidths between simulated nodes: what each kind of fault leaves, and where it does not show."""

from itertools import pairwise
from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fryer.collectives.busbw import bandwidths, size_bytes
from fryer.collectives.cases import OPERATIONS, CollectiveCase, CollectiveRow
from fryer.collectives.expected import Platform, expected
from fryer.fleet.orders import Collect, Collected
from fryer.fleet.simulated_collect import Group
from fryer.fleet.simulated_links import Links, Moment
from watchdog.simulator.scenario import Scenario, parse

NODES = tuple(f"node{number:03d}" for number in range(1, 17))
PAIR = ("node003", "node007")
RING, CHOICE, RAIL = "Ring", None, "rail"
BIG = CollectiveCase(operation="all_reduce", size_bytes=1 << 30, algorithm="Ring")


def scenario(*faults: str, noise: float = 0.0, nics: int = 8, part: str = "H100-SXM5-80GB") -> Scenario:
    tables = "".join(f"[[fault]]\n{fault}\n" for fault in faults)
    fleet = f'[fleet]\nnodes = "node[001-016]"\nnoise = {noise}\nnics_per_node = {nics}\npart = "{part}"\n'
    return parse(f"seed = 5\n{fleet}{tables}", file="test.toml")


def rate(
    of: Scenario, nodes: tuple[str, ...] = PAIR, *, how: str | None = RING, rail: int = 0, name: str = "m"
) -> float:
    """In GB/s."""
    found = Links(of).bus_bandwidth(
        nodes,
        ranks_per_node=1 if how == RAIL else 0,
        rail=rail if how == RAIL else None,
        algorithm="Ring" if how == RAIL else how,
        moment=Moment(at_seconds=0.0, lasts_seconds=0.5, name=name),
    )
    return found / 1e9


def collected(of: Scenario, nodes: tuple[str, ...] = PAIR, **changed: object) -> dict[str, Collected]:
    values: dict[str, object] = {"cases": (BIG,), "repeats": 3, "ranks_per_node": 0, "rail": None} | changed
    order = Collect(id="c", groups=(nodes,), addresses={}, port=1, join_seconds=10, seconds=60, **values)  # type: ignore[arg-type]
    group = Group(order, nodes, 0.0, of, Links(of), lambda _: None)
    return {said.node: said for _, said in group.events()}


def rows(of: Scenario, nodes: tuple[str, ...] = PAIR, **changed: object) -> tuple[CollectiveRow, ...]:
    return collected(of, nodes, **changed)[nodes[0]].rows


def test_healthy_groups_reach_the_figures_of_published_clusters() -> None:
    assert rate(scenario()) == pytest.approx(380)
    assert rate(scenario(), how=CHOICE) == pytest.approx(479)
    assert rate(scenario(), how=RAIL) == pytest.approx(47.5)
    assert rate(scenario(), NODES) == pytest.approx(380)
    assert rate(scenario(), NODES, how=CHOICE) == pytest.approx(8 * 47.5 / 8 * 127 / 15)
    assert rate(scenario(), ("node001",)) == pytest.approx(367)
    assert rate(scenario(nics=0)) == pytest.approx(1.15)


def test_a_slow_node_slows_its_groups_and_no_others() -> None:
    slow = scenario('on = "node003"\nkind = "link_slow"\nfactor = 0.5')
    assert rate(slow) == pytest.approx(190)
    assert rate(slow, NODES) == pytest.approx(190)
    assert rate(slow, how=RAIL, rail=7) == pytest.approx(23.75)
    assert rate(slow, ("node001", "node002")) == pytest.approx(380)


def test_one_slow_nic_holds_the_whole_ring_and_its_own_rail_alone() -> None:
    slow = scenario('on = "node003/nic5"\nkind = "link_slow"\nfactor = 0.5')
    assert rate(slow) == pytest.approx(190)
    assert [round(rate(slow, how=RAIL, rail=rail), 2) for rail in range(8)] == [*[47.5] * 5, 23.75, 47.5, 47.5]


def test_a_third_of_a_nic_can_be_gone_without_showing_where_the_library_chooses() -> None:
    slow = scenario('on = "node003/nic5"\nkind = "link_slow"\nfactor = 0.68')
    assert rate(slow, how=CHOICE) == pytest.approx(479)
    assert rate(slow) == pytest.approx(380 * 0.68)


def test_a_nic_that_is_down_is_left_out_and_its_rail_breaks() -> None:
    down = scenario('on = "node003/nic5"\nkind = "link_down"')
    assert rate(down) == pytest.approx(380 * 7 / 8)
    assert collected(down)["node003"].problem == ""
    assert collected(down, rail=5, ranks_per_node=1)["node003"].rows == ()
    assert len(collected(down, rail=4, ranks_per_node=1)["node003"].rows) == 3


def test_a_nic_in_a_narrow_slot_carries_what_the_slot_does() -> None:
    assert rate(scenario('on = "node003/nic5"\nkind = "pcie_narrow"\nwidth = 8')) == pytest.approx(8 * 27.5)
    assert rate(scenario('on = "node003/nic5"\nkind = "pcie_narrow"\ngeneration = 4')) == pytest.approx(8 * 25)
    assert rate(scenario('on = "node003/gpu5"\nkind = "pcie_narrow"\nwidth = 8')) == pytest.approx(380)


def test_a_slow_path_shows_only_where_both_of_its_ends_are() -> None:
    slow = scenario('on = "node003-node007"\nkind = "link_slow"\nfactor = 0.5')
    assert rate(slow) == pytest.approx(190)
    assert rate(slow, NODES) == pytest.approx(190)
    assert rate(slow, ("node003", "node004")) == rate(slow, ("node007", "node008")) == pytest.approx(380)


@pytest.mark.parametrize("on", ["node003", "node003/nic2", "node003-node007"])
@pytest.mark.parametrize("kind", ["intermittent", "link_flap"])
def test_what_comes_and_goes_hits_four_measurements_of_ten(on: str, kind: str) -> None:
    shaky = scenario(f'on = "{on}"\nkind = "{kind}"\nfactor = 0.5')
    found = [round(rate(shaky, name=f"m{number}")) for number in range(1000)]
    assert set(found) == {190, 380}
    assert 350 <= found.count(190) <= 450


def test_how_often_it_comes_may_be_said() -> None:
    shaky = scenario('on = "node003"\nkind = "link_flap"\nper_second = 0.2')
    hits = sum(rate(shaky, name=f"m{number}") < 300 for number in range(1000))
    assert 70 <= hits <= 130


def test_noise_is_that_of_the_fleet_and_different_in_each_measurement() -> None:
    found = [rate(scenario(noise=0.02), name=f"m{number}") for number in range(1000)]
    middle = sum(found) / len(found)
    deviation = (sum((each - middle) ** 2 for each in found) / len(found)) ** 0.5
    assert middle == pytest.approx(380, rel=0.005)
    assert deviation / middle == pytest.approx(0.02, rel=0.1)


def test_wrong_bits_of_a_nic_spoil_the_sums_that_go_through_it() -> None:
    wrong = scenario('on = "node003/nic2"\nkind = "wrong_bits"\nbits = 1')
    assert [(row.num_wrong, row.wrong_ranks) for row in rows(wrong)] == [(16, tuple(range(16)))] * 3
    assert [row.num_wrong for row in rows(wrong, ("node001", "node002"))] == [0, 0, 0]
    assert [row.num_wrong > 0 for row in rows(wrong, rail=2, ranks_per_node=1)] == [True] * 3
    assert [row.num_wrong for row in rows(wrong, rail=3, ranks_per_node=1)] == [0, 0, 0]
    rare = scenario('on = "node003/nic2"\nkind = "wrong_bits"\nbits = 1\nevery = 5')
    assert 20 <= sum(row.num_wrong > 0 for row in rows(rare, repeats=200)) <= 60


def test_a_node_without_network_is_named_by_the_others_and_sees_only_that_nobody_answers() -> None:
    said = collected(scenario('on = "node007"\nkind = "link_down"'), ("node003", "node005", "node007"))
    assert {node: each.missing for node, each in said.items()} == {
        "node003": ("node007",),
        "node005": ("node007",),
        "node007": ("node003",),
    }
    assert all(each.problem and not each.rows for each in said.values())


def test_where_the_meeting_point_has_no_network_everybody_names_somebody_else() -> None:
    said = collected(scenario('on = "node003"\nkind = "link_down"'), ("node003", "node005", "node007"))
    assert said["node003"].missing == ("node005", "node007")
    assert said["node005"].missing == said["node007"].missing == ("node003",)


def test_two_members_that_can_not_reach_each_other_name_each_other() -> None:
    said = collected(scenario('on = "node005-node007"\nkind = "link_down"'), ("node003", "node005", "node007"))
    assert {node: each.missing for node, each in said.items()} == {
        "node003": (),
        "node005": ("node007",),
        "node007": ("node005",),
    }
    assert all(each.problem for each in said.values())


def test_a_partition_leaves_each_side_whole_and_breaks_groups_across_it() -> None:
    parted = scenario('on = "node[001-004]"\nkind = "partition"')
    assert collected(parted, ("node001", "node004"))["node001"].problem == ""
    assert collected(parted, ("node005", "node006"))["node005"].problem == ""
    across = collected(parted, ("node003", "node004", "node005"))
    assert {node: each.missing for node, each in across.items()} == {
        "node003": ("node005",),
        "node004": ("node005",),
        "node005": ("node003",),
    }


@given(
    size=st.integers(min_value=8, max_value=1 << 33),
    operation=st.sampled_from(OPERATIONS),
    nodes=st.integers(min_value=1, max_value=16),
)
def test_rows_are_consistent_in_time_size_and_rates(size: int, operation: str, nodes: int) -> None:
    case = CollectiveCase(operation=operation, size_bytes=size)
    (row,) = rows(scenario(), NODES[:nodes], cases=(case,), repeats=1)
    moved = size_bytes(case, 8 * nodes)
    rates = (row.algbw_bytes_per_second, row.busbw_bytes_per_second)
    assert rates == bandwidths(operation, moved, 8 * nodes, row.seconds)
    assert row.busbw_bytes_per_second <= 480e9
    assert row.num_ranks == 8 * nodes


def test_small_messages_are_held_by_latency_and_large_ones_reach_the_plateau() -> None:
    cases = tuple(CollectiveCase(operation="all_reduce", size_bytes=8 << (3 * step)) for step in range(10))
    found = [row.busbw_bytes_per_second for row in rows(scenario(), cases=cases, repeats=1)]
    assert all(smaller < larger for smaller, larger in pairwise(found))
    assert found[0] < 1e6
    assert found[-1] == pytest.approx(479e9, rel=0.03)


@pytest.mark.parametrize(
    ("part", "how", "gigas"),
    [
        ("H100-SXM5-80GB", CHOICE, 479),
        ("H100-SXM5-80GB", RING, 367),
        ("A100-SXM4-80GB", CHOICE, 367 * 300 / 450),
        ("B200", CHOICE, 958),
        ("H100-PCIe", CHOICE, 55),
    ],
)
def test_inside_a_node_nvlink_decides_and_whether_the_switch_sums(part: str, how: str | None, gigas: float) -> None:
    assert rate(scenario(part=part), ("node001",), how=how) == pytest.approx(gigas)


def test_other_operations_are_not_summed_by_the_switch_and_alltoall_sends_most_of_it_out() -> None:
    def of(operation: str, nodes: tuple[str, ...]) -> float:
        [row] = rows(scenario(), nodes, cases=(CollectiveCase(operation=operation, size_bytes=8 << 30),), repeats=1)
        return row.busbw_bytes_per_second / 1e9

    assert of("all_reduce", ("node001",)) == pytest.approx(479, rel=0.01)
    assert of("all_gather", ("node001",)) == pytest.approx(367, rel=0.01)
    assert of("alltoall", PAIR) == pytest.approx(47.5 * 15 / 8, rel=0.01)
    assert of("all_gather", PAIR) == pytest.approx(380, rel=0.01)


def test_inside_a_node_no_nic_matters() -> None:
    of = scenario(
        'kind = "link_down"\non = "node003"\nat = "0s"',
        'kind = "wrong_bits"\non = "node003/nic1"\nat = "0s"\nbits = 1',
        'kind = "link_slow"\non = "node003/nic2"\nat = "0s"\nfactor = 0.2',
    )
    found = rows(of, ("node003",))
    assert [row.num_wrong for row in found] == [0, 0, 0]
    assert rate(of, ("node003",)) == pytest.approx(367)


def test_collectives_inside_a_node_repeat_better_than_over_a_network() -> None:
    of = scenario(noise=0.02)
    inside = [rate(of, ("node001",), name=str(index)) for index in range(200)]
    between = [rate(of, name=str(index)) for index in range(200)]
    assert stdev(inside) / 367 == pytest.approx(0.004, rel=0.3)
    assert stdev(between) / 380 == pytest.approx(0.02, rel=0.3)


@pytest.mark.parametrize("part", ["H100-SXM5-80GB", "H200-SXM", "A100-SXM4-80GB", "B200"])
@pytest.mark.parametrize("count", [1, 2, 3, 16])
@pytest.mark.parametrize("how", [CHOICE, RING])
def test_a_healthy_simulated_group_reaches_what_its_own_links_let_expect(
    part: str, count: int, how: str | None
) -> None:
    links = Links(scenario(part=part)).interconnect
    platform = Platform(
        num_nodes=count,
        ranks_per_node=8,
        nvlink_bytes_per_second=links.nvlink_bytes_per_second,
        has_switch=bool(links.has_switch),
        has_nvls=links.has_nvls if how is CHOICE else False,
        num_nics=links.num_nics or 0,
        nic_bytes_per_second=links.nic_bytes_per_second,
        algorithm=how,
    )
    wanted = expected("all_reduce", platform)
    assert wanted is not None
    found = rate(scenario(part=part), NODES[:count], how=how) * 1e9
    assert wanted.warn <= found <= wanted.ceiling * 1.02
