"""Larger groups: faults that pairs do not show."""

from collections import Counter

import pytest
from faulty_network import HEALTHY, World, names, path

from fryer.localise import Settings, Trial, localise
from watchdog.vocabulary.verdicts import Verdict

ALONE = Settings()


def test_up_to_sixteen_nodes_are_measured_in_pairs_alone_and_from_seventeen_on_in_groups_of_eight_too() -> None:
    assert {len(g) for r in World(nodes=names(16)).run(ALONE)[1] for g in r.groups} == {2}
    rounds = World(nodes=names(17)).run(ALONE)[1]
    assert Counter(len(g) for r in rounds for g in r.groups) == {2: 17, 8: 3}


def test_every_node_that_passed_in_pairs_stands_in_a_group_and_no_failed_one_does() -> None:
    world = World(nodes=names(50), slow={"node007": 0.7, "node008": 0.7})
    _, rounds, _ = world.run(ALONE)
    grouped = {node for r in rounds for group in r.groups if len(group) == 8 for node in group}
    assert grouped == set(names(50)) - {"node007", "node008"}


def test_a_node_that_is_slow_in_groups_alone_is_found_by_halving() -> None:
    said, rounds, _ = World(nodes=names(48), slow_in_groups={"node007": 0.5}).run(ALONE)
    assert [(f.node, f.code, f.verdict) for f in said.nodes] == [("node007", "slow_network", Verdict.FAIL)]
    assert said.nodes[0].proof == (
        "node007 passed in pairs; 4 groups with it failed, the last of 8 at 189 GB/s; the other 7 passed without it at "
        "378 GB/s"
    )
    assert [r.why for r in rounds] == [
        "first matching",
        "second matching",
        "groups of nodes that passed in pairs",
        *["halves of bad groups, filled up with nodes whose groups passed"] * 3,
        "pairs of bad groups whose members passed elsewhere",
    ]


def test_two_nodes_that_are_slow_in_the_same_group_are_both_found() -> None:
    said, rounds, _ = World(nodes=names(64), slow_in_groups={"node001": 0.5, "node002": 0.8}).run(ALONE)
    assert {f.node: f.verdict for f in said.nodes} == dict.fromkeys(("node001", "node002"), Verdict.FAIL)
    assert len(rounds) <= ALONE.most_rounds_of(64)


def test_a_bad_path_that_no_matching_met_is_found_through_its_group() -> None:
    said, rounds, _ = World(nodes=names(48), slow_paths={path(1, 8): 0.5}).run(ALONE)
    assert said.nodes == ()
    assert [(link.nodes, link.code, link.verdict) for link in said.links] == [
        (("node001", "node008"), "slow_path", Verdict.FAIL)
    ]
    assert "pairs of bad groups whose members passed elsewhere" in {r.why for r in rounds}


def test_the_ends_of_a_known_bad_path_never_stand_in_one_group() -> None:
    world = World(nodes=names(48))
    first = world.run(ALONE)[1][0].groups[3]
    world.slow_paths = {frozenset(first): 0.5}
    _, rounds, _ = world.run(ALONE)
    assert not any(set(first) <= set(group) for r in rounds for group in r.groups if len(group) > 2)


def test_a_node_that_dies_before_the_groups_is_no_answer_and_its_group_is_measured_again_without_it() -> None:
    said, rounds, _ = World(nodes=names(24), dies={"node005": 3}).run(ALONE)
    assert [(f.node, f.code, f.verdict) for f in said.nodes] == [("node005", "no_answer", Verdict.ERROR)]
    again = {node for r in rounds[3:] for group in r.groups for node in group}
    assert set(names(8)) - {"node005"} <= again
    assert "node005" not in again


def test_a_group_that_is_bad_as_a_whole_is_a_warning_on_all_its_members_and_a_sentence() -> None:
    group = names(8)
    members = [
        *(Trial(round=3, nodes=(*half, *names(32)[16 + i * 4 : 20 + i * 4]), values=(HEALTHY,) * 5)
          for i, half in enumerate((group[:4], group[4:]))),
        *(Trial(round=4 + i, nodes=group, values=(200e9,) * 5) for i in range(2)),
    ]  # fmt: skip
    pairs = [
        Trial(round=1, nodes=(a, b), values=(HEALTHY,) * 5) for i, a in enumerate(names(32)) for b in names(32)[i + 1 :]
    ]
    said = localise(names(32), [*pairs, *members], ALONE)
    assert {f.node: (f.code, f.verdict) for f in said.nodes} == dict.fromkeys(group, ("unsplit", Verdict.WARN))
    words = (
        f"The group {' '.join(group)} gave 200 GB/s of 378 GB/s, measured 2 times, though each member passed in other "
    )
    assert said.proof == (words + "groups: look at the switches between them",)


def test_a_node_whose_paths_may_explain_its_bad_groups_is_undecided_and_not_failed() -> None:
    """Only one bad group, and all other members are good elsewhere: any of its seven paths may be the cause."""
    nodes = names(24)
    pairs = [
        Trial(round=1, nodes=(a, b), values=(HEALTHY,) * 5) for a, b in zip(nodes, (*nodes[1:], nodes[0]), strict=True)
    ]
    groups = [
        Trial(round=3, nodes=nodes[:8], values=(200e9,) * 5),
        Trial(round=3, nodes=nodes[8:16], values=(HEALTHY,) * 5),
        Trial(round=4, nodes=(*nodes[1:4], *nodes[8:13]), values=(HEALTHY,) * 5),
        Trial(round=4, nodes=(*nodes[4:8], *nodes[16:20]), values=(HEALTHY,) * 5),
    ]
    said = localise(nodes, [*pairs, *groups], ALONE)
    assert [(f.node, f.code, f.verdict) for f in said.nodes] == [("node001", "unsplit", Verdict.INCONCLUSIVE)]
    assert said.nodes[0].proof == (
        "node001 passed in pairs and was in 1 bad group, whose other members passed in groups without it; measure its "
        "pairs with them to tell it from the paths to them"
    )


@pytest.mark.parametrize(("count", "most"), [(2, 6), (3, 7), (4, 8), (16, 12), (48, 15), (512, 22), (2048, 26)])
def test_the_bound_on_rounds_is_four_and_twice_the_logarithm(count: int, most: int) -> None:
    assert ALONE.most_rounds_of(count) == most
