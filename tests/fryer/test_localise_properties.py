"""What holds for any faults, and for any answers."""

from collections.abc import Mapping
from math import inf, nan

from faulty_network import HEALTHY, World, names
from hypothesis import given, settings
from hypothesis import strategies as st

from fryer.localise import Round, Settings, Trial, localise, next_round
from watchdog.vocabulary.verdicts import Verdict

PLATFORM = Settings(expected_bytes_per_second=HEALTHY)
ALONE = Settings()
UNTIMED = settings(deadline=None)
"""A busy machine is no failure."""
FACTORS = st.sampled_from((0.1, 0.5, 0.9))


@st.composite
def fleets(draw: st.DrawFn, *, most: int, bad_share: float) -> tuple[tuple[str, ...], dict[str, float]]:
    """Names, and bad nodes with their factors: at most `bad_share` of the fleet, and less than half."""
    nodes = names(draw(st.integers(3, most)))
    cap = min(int(bad_share * len(nodes)), (len(nodes) - 1) // 2)
    bad = draw(st.lists(st.sampled_from(nodes), unique=True, max_size=cap))
    return nodes, {node: draw(FACTORS) for node in bad}


@st.composite
def bad_paths(draw: st.DrawFn, nodes: tuple[str, ...], *, most: int, per_node: int) -> Mapping[frozenset[str], float]:
    """At most `most` paths, at most `per_node` at each node."""
    paths: dict[frozenset[str], float] = {}
    ends: list[str] = []
    for _ in range(draw(st.integers(0, most))):
        a, b = draw(st.lists(st.sampled_from(nodes), min_size=2, max_size=2, unique=True))
        if max(ends.count(a), ends.count(b)) < per_node:
            paths[frozenset((a, b))] = draw(FACTORS)
            ends += (a, b)
    return paths


def failed(world: World, settings: Settings) -> tuple[set[str], list[Round]]:
    said, rounds, _ = world.run(settings)
    return {finding.node for finding in said.nodes if finding.verdict is Verdict.FAIL}, rounds


@UNTIMED
@given(fleets(most=40, bad_share=0.5))
def test_with_the_platforms_figure_any_bad_nodes_below_half_are_all_named_and_nobody_else(
    fleet: tuple[tuple[str, ...], dict[str, float]],
) -> None:
    nodes, bad = fleet
    assert failed(World(nodes=nodes, slow=bad), PLATFORM)[0] == set(bad)


@UNTIMED
@given(fleets(most=40, bad_share=0.3))
def test_without_any_figure_up_to_three_tenths_bad_nodes_are_all_named_and_nobody_else(
    fleet: tuple[tuple[str, ...], dict[str, float]],
) -> None:
    nodes, bad = fleet
    assert failed(World(nodes=nodes, slow=bad), ALONE)[0] == set(bad)


@UNTIMED
@given(st.data())
def test_two_bad_paths_at_each_node_fail_no_healthy_one_and_hide_no_bad_one(data: st.DataObject) -> None:
    nodes, bad = data.draw(fleets(most=16, bad_share=0.3).filter(lambda fleet: len(fleet[0]) >= 8))
    paths = data.draw(bad_paths(nodes, most=len(nodes), per_node=2))
    assert failed(World(nodes=nodes, slow=bad, slow_paths=paths), PLATFORM)[0] == set(bad)


@UNTIMED
@given(st.data())
def test_two_bad_paths_in_a_fleet_with_groups_fail_no_healthy_node_and_hide_no_bad_one(data: st.DataObject) -> None:
    nodes, bad = data.draw(fleets(most=48, bad_share=0.3).filter(lambda fleet: len(fleet[0]) >= 17))
    paths = data.draw(bad_paths(nodes, most=2, per_node=2))
    assert failed(World(nodes=nodes, slow=bad, slow_paths=paths), PLATFORM)[0] == set(bad)


@UNTIMED
@given(fleets(most=48, bad_share=0.9), st.integers(0, 5), st.integers(0, 9))
def test_groups_are_disjoint_and_of_the_fleet_and_rounds_stay_within_their_bound(
    fleet: tuple[tuple[str, ...], dict[str, float]], num_broken: int, seed: int
) -> None:
    nodes, bad = fleet
    world = World(nodes=nodes, slow=bad, broken=nodes[:num_broken], dies={nodes[-1]: 2}, noise=0.05, seed=seed)
    _, rounds, _ = world.run(ALONE)
    assert [r.number for r in rounds] == list(range(1, len(rounds) + 1))
    assert len(rounds) <= ALONE.most_rounds_of(len(nodes))
    for asked in rounds:
        members = [node for group in asked.groups for node in group]
        assert len(members) == len(set(members))
        assert set(members) <= set(nodes)
        assert asked.repeats >= 3
        assert asked.why


GARBAGE_VALUES = st.one_of(st.sampled_from((0.0, -1.0, nan, inf, HEALTHY)), st.floats(allow_nan=True))
GARBAGE = st.builds(
    Trial,
    round=st.integers(-2, 12),
    nodes=st.lists(st.sampled_from((*names(6), "stranger")), max_size=9).map(tuple),
    values=st.lists(GARBAGE_VALUES, max_size=4).map(tuple),
    problem=st.sampled_from(("", "it broke")),
    missing=st.lists(st.sampled_from((*names(6), "stranger")), max_size=3).map(tuple),
    num_wrong=st.integers(-1, 3),
    rail=st.sampled_from((None, None, 0, 7)),
)


@UNTIMED
@given(st.lists(GARBAGE, max_size=25), st.integers(0, 20), st.lists(GARBAGE_VALUES, max_size=3))
def test_any_answers_come_to_an_end_and_to_a_finding_for_all_that_did_not_pass(
    garbage: list[Trial], count: int, values: list[float]
) -> None:
    nodes, trials, turns = names(count), list(garbage), 0
    while (asked := next_round(nodes, trials, ALONE)) is not None:
        trials += [Trial(round=asked.number, nodes=group, values=tuple(values)) for group in asked.groups]
        turns += 1
    assert turns <= ALONE.most_rounds_of(count) + 2
    said = localise(nodes, trials, ALONE)
    assert len({finding.node for finding in said.nodes}) == len(said.nodes)
    assert {finding.node for finding in said.nodes} <= set(nodes)
    assert all(finding.proof for finding in (*said.nodes, *said.links))
    measured = {n for t in trials if t.rail is None and t.values and not t.missing for n in t.nodes}
    if count > 1:
        assert {finding.node for finding in said.nodes} >= set(nodes) - measured
