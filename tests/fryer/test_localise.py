"""Pairs: who is named, with which proof, and what is asked for on the way."""

from collections import Counter
from dataclasses import replace

import pytest
from faulty_network import HEALTHY, World, names, path

from fryer.localise import LinkFinding, Localisation, NodeFinding, Settings, Trial, localise, next_round
from watchdog.vocabulary.errors import UsageError
from watchdog.vocabulary.verdicts import Verdict

PLATFORM = Settings(expected_bytes_per_second=HEALTHY)
ALONE = Settings()
"""Nobody knows what the platform should give."""
LOOK = "look at what they share: fabric, driver, NCCL's settings, or the expected figure"


def said_of(said: Localisation, node: str) -> NodeFinding:
    return next(finding for finding in said.nodes if finding.node == node)


def codes(said: Localisation) -> dict[str, tuple[str, Verdict]]:
    return {finding.node: (finding.code, finding.verdict) for finding in said.nodes}


def links(said: Localisation) -> dict[tuple[str, str], tuple[str, Verdict]]:
    return {link.nodes: (link.code, link.verdict) for link in said.links}


def test_a_slow_node_of_four_is_named_and_the_proof_can_be_checked_against_the_table() -> None:
    said, rounds, _ = World(nodes=names(4), slow={"node003": 0.5}).run(ALONE)
    assert codes(said) == {"node003": ("slow_network", Verdict.FAIL)}
    proof = (
        "node003 failed with node001 and node002; node001-node002 passed at 378 GB/s; "
        "node003 gave at best 189 GB/s, 50 % of 378 GB/s"
    )
    assert said.nodes[0].proof == proof
    assert said.proof == (proof,)
    assert said.expected_bytes_per_second == HEALTHY
    assert said.num_rounds == 3
    assert said.links == ()
    assert [r.number for r in rounds] == [1, 2, 3]


def test_the_evidence_keeps_minimum_median_and_maximum_of_every_partner() -> None:
    said, _, _ = World(nodes=names(4), slow={"node003": 0.5}).run(ALONE)
    evidence = said.nodes[0].evidence
    assert evidence["expected_bytes_per_second"] == HEALTHY
    assert evidence["partners"] == {
        partner: {
            "min": 189e9,
            "median": 189e9,
            "max": 189e9,
            "num_repeats": repeats,
            "num_trials": 1,
            "num_wrong": 0,
            "outcome": "slow",
        }
        for partner, repeats in (("node002", 5), ("node001", 5), ("node004", 10))
    }


def test_a_healthy_fleet_has_no_findings_and_nothing_to_say() -> None:
    said, rounds, _ = World(nodes=names(12)).run(PLATFORM)
    assert (said.nodes, said.links, said.proof) == ((), (), ())
    assert [r.why for r in rounds] == ["first matching", "second matching"]


@pytest.mark.parametrize("count", [2, 4, 6, 12, 48, 2048])
def test_the_two_matchings_are_disjoint_and_hold_every_node_of_an_even_fleet(count: int) -> None:
    world = World(nodes=names(count))
    first = next_round(world.nodes, [], ALONE)
    assert first is not None
    assert sorted(n for group in first.groups for n in group) == sorted(world.nodes)
    if count == 2:
        return
    second = next_round(world.nodes, world.answer(first), ALONE)
    assert second is not None
    assert sorted(n for group in second.groups for n in group) == sorted(world.nodes)
    assert {frozenset(g) for g in first.groups}.isdisjoint(frozenset(g) for g in second.groups)


def test_in_an_odd_fleet_the_two_that_sat_out_measure_together_and_so_each_node_meets_two() -> None:
    said, rounds, trials = World(nodes=names(9)).run(ALONE)
    assert rounds[2].groups == (("node001", "node002"),)
    assert len(rounds) == 3
    met = [n for trial in trials for n in trial.nodes]
    assert {met.count(node) for node in names(9)} == {2}
    assert said.nodes == ()


def test_one_node_has_nothing_to_measure_and_nothing_to_fear() -> None:
    assert next_round(names(1), [], ALONE) is None
    said = localise(names(1), [], ALONE)
    assert said.nodes == ()
    assert said.proof == ("One node: there is nothing between nodes to measure",)
    assert next_round((), [], ALONE) is None


def test_two_nodes_that_are_slow_together_cannot_be_split_and_are_told_what_to_do() -> None:
    said, rounds, _ = World(nodes=names(2), slow={"node001": 0.5}).run(PLATFORM)
    assert codes(said) == dict.fromkeys(names(2), ("unsplit", Verdict.INCONCLUSIVE))
    assert said.nodes[0].proof == (
        "node001-node002 gave 189 GB/s of 378 GB/s: two nodes can't be split by pairing; measure each with a third "
        "node that is known to be good, or run each node's NIC loopback and compare the rails of the pair with each "
        "other"
    )
    assert [r.why for r in rounds] == ["first matching", "the pair again"]


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"wrong": ["node002"]}, "node001-node002 summed wrongly (34 elements): two nodes can't be split"),
        ({"broken": ["node002"]}, "node001-node002 broke (the connection was reset): two nodes can't be split"),
        ({"flaky": {"node002": (0.5, 0.4)}}, "node001-node002 was unsteady at "),
    ],
)
def test_two_nodes_with_any_other_fault_cannot_be_split_either(faults: dict[str, object], words: str) -> None:
    said, _, _ = World(nodes=names(2), **faults).run(ALONE)  # type: ignore[arg-type]
    assert codes(said) == dict.fromkeys(names(2), ("unsplit", Verdict.INCONCLUSIVE))
    assert said.nodes[0].proof.startswith(words)


def test_two_nodes_without_a_figure_of_the_platform_are_said_to_be_compared_with_nothing() -> None:
    said, _, _ = World(nodes=names(2), slow={"node001": 0.5}).run(ALONE)
    assert said.nodes == ()
    words = "One pair and no figure of the platform: 189 GB/s was compared with nothing; "
    assert said.proof == (words + "give the expected figure to have it judged",)


def test_of_three_nodes_all_three_pairs_settle_one_bad_node() -> None:
    said, rounds, _ = World(nodes=names(3), slow={"node002": 0.8}).run(ALONE)
    assert [r.why for r in rounds[3:]] == ["slow nodes with their witnesses again"] * 4
    assert len({group for r in rounds[:3] for group in r.groups}) == 3
    assert codes(said) == {"node002": ("slow_network", Verdict.FAIL)}
    assert said.nodes[0].proof.startswith("node002 failed with node001 and node003; node001-node003 passed at 378 GB/s")


def slowed(trials: list[Trial], node: str, factor: float, rounds: set[int]) -> list[Trial]:
    """The trials, with those of `node` in some rounds slower as a whole: others used its machine then."""
    return [
        replace(trial, values=tuple(factor * value for value in trial.values))
        if node in trial.nodes and trial.round in rounds
        else trial
        for trial in trials
    ]


def test_a_node_whose_machine_others_used_for_a_while_is_cleared_by_its_witnesses() -> None:
    world = World(nodes=names(4), slow={"node003": 0.25})
    trials: list[Trial] = []
    while (asked := next_round(world.nodes, trials, ALONE)) is not None:
        trials += slowed(world.answer(asked), "node004", 0.8, {1, 2, 3})
    said = localise(world.nodes, trials, ALONE)
    assert codes(said) == {"node003": ("slow_network", Verdict.FAIL)}
    assert said.links == ()


def test_a_node_that_stays_slow_is_named_after_two_witnesses_met_it_three_times() -> None:
    said, _, trials = World(nodes=names(4), slow={"node004": 0.8}).run(ALONE)
    assert codes(said) == {"node004": ("slow_network", Verdict.FAIL)}
    met = Counter(frozenset(trial.nodes) - {"node004"} for trial in trials if "node004" in trial.nodes)
    assert sorted(met.values()) == [1, 3, 3]


def test_busy_machines_seldom_make_a_healthy_node_fail_and_never_hide_the_slow_one() -> None:
    """Each trial loses 5 % of its rate on average, exponentially, as with gloo on shared processors."""
    runs = [
        World(nodes=names(4), slow={"node003": 0.25}, noise=0.02, busy=0.05, seed=seed).run(ALONE)[0]
        for seed in range(100)
    ]
    failed = [{f.node for f in said.nodes if f.verdict is Verdict.FAIL} for said in runs]
    assert all("node003" in nodes for nodes in failed)
    assert sum(nodes != {"node003"} for nodes in failed) <= 2


def test_of_three_nodes_two_bad_ones_leave_nobody_to_blame() -> None:
    said, _, _ = World(nodes=names(3), slow={"node001": 0.5, "node002": 0.5}).run(PLATFORM)
    assert {code for code, _ in codes(said).values()} == {"slow_fleet"}
    assert {verdict for _, verdict in codes(said).values()} == {Verdict.INCONCLUSIVE}


def test_two_bad_nodes_of_four_are_both_named_without_a_figure_of_the_platform() -> None:
    said, _, _ = World(nodes=names(4), slow={"node001": 0.25, "node003": 0.25}).run(ALONE)
    assert codes(said) == dict.fromkeys(("node001", "node003"), ("slow_network", Verdict.FAIL))


def test_two_bad_nodes_that_meet_are_both_named_and_their_other_partners_are_cleared() -> None:
    world = World(nodes=names(12))
    first = next_round(world.nodes, [], ALONE)
    assert first is not None
    world.slow = dict.fromkeys(first.groups[1], 0.5)
    said, _, _ = world.run(ALONE)
    assert codes(said) == dict.fromkeys(first.groups[1], ("slow_network", Verdict.FAIL))
    assert said.links == ()


def test_a_healthy_node_whose_two_partners_are_both_bad_is_cleared_by_a_proven_one() -> None:
    world = World(nodes=names(12))
    first = next_round(world.nodes, [], ALONE)
    assert first is not None
    second = next_round(world.nodes, world.answer(first), ALONE)
    assert second is not None
    partners = [n for g in (*first.groups, *second.groups) if "node005" in g for n in g if n != "node005"]
    world.slow = dict.fromkeys(partners, 0.6)
    said, rounds, _ = world.run(ALONE)
    assert sorted(codes(said)) == sorted(partners)
    assert rounds[2].why == "suspects with proven partners"
    assert any("node005" in group and not set(partners) & set(group) for group in rounds[2].groups)


def test_a_pair_that_is_slow_while_both_pass_with_others_is_a_path_measured_twice() -> None:
    said, rounds, _ = World(nodes=names(4), slow_paths={path(1, 2): 0.5}).run(ALONE)
    assert said.nodes == ()
    assert links(said) == {("node001", "node002"): ("slow_path", Verdict.FAIL)}
    assert said.links[0].proof == (
        "node001-node002 failed at 189 GB/s, measured 2 times; node001 passed with node003 at 378 GB/s and node002 "
        "passed with node003 at 378 GB/s"
    )
    assert rounds[3].why == "bad paths again"


def test_bad_paths_side_by_side_are_all_named_and_no_node_is() -> None:
    """Two racks whose way to each other is slow: every node passes inside its own rack."""
    racks = {path(a, b): 0.5 for a in (1, 2) for b in (3, 4)}
    said, _, _ = World(nodes=names(4), slow_paths=racks).run(ALONE)
    assert said.nodes == ()
    assert {frozenset(link.nodes) for link in said.links} == set(racks)


def test_a_path_measured_once_is_a_warning() -> None:
    trials = [
        Trial(round=1, nodes=("a", "b"), values=(100e9,) * 5),
        Trial(round=2, nodes=("a", "c"), values=(HEALTHY,) * 5),
        Trial(round=2, nodes=("b", "d"), values=(HEALTHY,) * 5),
    ]
    assert links(localise("abcd", trials, ALONE)) == {("a", "b"): ("slow_path", Verdict.WARN)}


def test_a_node_that_drops_now_and_then_is_intermittent_and_its_range_is_the_proof() -> None:
    said, _, _ = World(nodes=names(8), flaky={"node003": (0.4, 0.5)}, seed=1).run(ALONE)
    assert codes(said) == {"node003": ("intermittent_network", Verdict.FAIL)}
    assert said.nodes[0].proof.startswith("node003 was unsteady with ")
    assert said.nodes[0].proof.endswith("; node003 gave from 189 GB/s to 378 GB/s")


def test_a_path_that_drops_now_and_then_is_a_warning_on_the_path() -> None:
    said, _, _ = World(nodes=names(4), flaky_paths={path(2, 4): (0.5, 0.3)}, seed=1).run(ALONE)
    assert said.nodes == ()
    assert links(said) == {("node002", "node004"): ("intermittent_path", Verdict.WARN)}
    assert "was unsteady from 113 GB/s to 378 GB/s" in said.links[0].proof


def test_wrong_sums_are_laid_on_the_node_that_has_them_with_everybody() -> None:
    said, _, _ = World(nodes=names(6), wrong=["node004"]).run(ALONE)
    assert codes(said) == {"node004": ("wrong_sums", Verdict.FAIL)}
    assert said.nodes[0].proof.startswith("node004 summed wrongly with ")
    assert said.nodes[0].proof.endswith("; 34 wrong elements")


def test_wrong_sums_of_one_pair_alone_fail_the_path_even_when_seen_once() -> None:
    trials = [
        Trial(round=1, nodes=("a", "b"), values=(HEALTHY,) * 5, num_wrong=1),
        Trial(round=2, nodes=("a", "b"), values=(HEALTHY,) * 5),
        Trial(round=3, nodes=("a", "c"), values=(HEALTHY,) * 5),
        Trial(round=3, nodes=("b", "d"), values=(HEALTHY,) * 5),
    ]
    assert links(localise("abcd", trials, ALONE)) == {("a", "b"): ("wrong_sums", Verdict.FAIL)}


def test_a_trial_that_breaks_without_missing_members_makes_both_suspects() -> None:
    """The partner is cleared by others, the culprit is not."""
    said, rounds, _ = World(nodes=names(6), broken=["node004"]).run(ALONE)
    assert codes(said) == {"node004": ("broken_network", Verdict.FAIL)}
    assert "the connection was reset" in said.nodes[0].proof
    assert "suspects with proven partners" in rounds[2].why


def test_a_problem_with_missing_members_is_theirs_and_their_partners_meet_another() -> None:
    world = World(nodes=names(6), dies={"node004": 1})
    said, _, trials = world.run(ALONE)
    assert codes(said) == {"node004": ("no_answer", Verdict.ERROR)}
    assert said.nodes[0].evidence == {"num_absences": 2}
    good = [t for t in trials if t.values]
    assert all(sum(node in t.nodes for t in good) >= 2 for node in names(6) if node != "node004")


def test_a_node_that_stayed_away_twice_is_asked_no_more() -> None:
    _, _, trials = World(nodes=names(8), dies={"node004": 1}).run(ALONE)
    assert sum("node004" in trial.nodes for trial in trials) == 2


def test_a_node_that_a_partner_missed_but_that_comes_to_others_has_a_broken_path() -> None:
    trials = [
        Trial(round=1, nodes=("a", "b"), values=(), problem="b did not come", missing=("b",)),
        Trial(round=1, nodes=("c", "d"), values=(HEALTHY,) * 5),
        Trial(round=2, nodes=("a", "c"), values=(HEALTHY,) * 5),
        Trial(round=2, nodes=("b", "d"), values=(HEALTHY,) * 5),
        Trial(round=3, nodes=("a", "b"), values=(), problem="a did not come", missing=("a",)),
        Trial(round=4, nodes=("a", "d"), values=(HEALTHY,) * 5),
    ]
    said = localise("abcd", trials, ALONE)
    assert said.nodes == ()
    assert links(said) == {("a", "b"): ("broken_path", Verdict.FAIL)}
    assert "a-b broke (a did not come), measured 2 times" in said.links[0].proof


def test_when_all_members_are_missing_nobody_knows_whose_fault_it_is() -> None:
    trials = [
        Trial(round=1, nodes=("a", "b"), values=(), problem="both lost the other", missing=("a", "b")),
        Trial(round=1, nodes=("c", "d"), values=(HEALTHY,) * 5),
    ]
    said = localise("abcd", trials, ALONE)
    assert codes(said) == dict.fromkeys("ab", ("unsplit", Verdict.INCONCLUSIVE))


def test_a_node_that_was_never_measured_is_untested_and_not_passed() -> None:
    said = localise("abc", [Trial(round=1, nodes=("a", "b"), values=(HEALTHY,) * 5)], ALONE)
    assert codes(said) == {"c": ("untested", Verdict.INCONCLUSIVE)}


def test_a_fleet_that_is_slow_as_a_whole_is_said_to_be_and_blames_no_single_node() -> None:
    said, _, _ = World(nodes=names(12), slow=dict.fromkeys(names(12), 0.5)).run(PLATFORM)
    assert set(codes(said).values()) == {("slow_fleet", Verdict.INCONCLUSIVE)}
    assert len(said.nodes) == 12
    words = "12 of 12 nodes give at best 189 GB/s of the 378 GB/s that the platform should give; "
    assert said.proof == (words + LOOK,)


def test_a_node_that_is_slow_even_for_a_slow_fleet_is_named_all_the_same() -> None:
    slow = {**dict.fromkeys(names(12), 0.5), "node007": 0.2}
    said, _, _ = World(nodes=names(12), slow=slow).run(PLATFORM)
    assert said_of(said, "node007").verdict is Verdict.FAIL
    assert {f.code for f in said.nodes if f.node != "node007"} == {"slow_fleet"}


def test_more_than_half_bad_is_said_and_fails_no_single_node() -> None:
    said, _, _ = World(nodes=names(8), slow=dict.fromkeys(names(5), 0.5)).run(PLATFORM)
    assert codes(said) == dict.fromkeys(names(5), ("slow_fleet", Verdict.INCONCLUSIVE))
    words = "5 of 8 nodes failed with the others: more than half, so that no single one is blamed; "
    assert said.proof[0] == words + LOOK


def test_a_platforms_figure_that_is_four_per_cent_off_fails_nobody_and_hides_nobody() -> None:
    for off in (0.96, 1.04):
        settings = Settings(expected_bytes_per_second=off * HEALTHY)
        said, _, _ = World(nodes=names(48), slow={"node017": 0.9}, noise=0.02, seed=3).run(settings)
        assert codes(said) == {"node017": ("slow_network", Verdict.FAIL)}
        assert said.expected_bytes_per_second == pytest.approx(HEALTHY, rel=0.01)


def test_noise_above_the_assumed_widens_the_limits_and_says_so() -> None:
    said, _, _ = World(nodes=names(24), slow={"node017": 0.4}, noise=0.10, seed=3).run(ALONE)
    assert codes(said) == {"node017": ("slow_network", Verdict.FAIL)}
    assert said.proof[0].startswith("Repeats scatter by ")


def test_a_bad_rail_is_named_when_rails_are_measured_alone() -> None:
    """All rails together hide one of eight that is slower by a tenth; alone, its pairs with all partners show it."""
    world = World(nodes=names(6))
    trials = world.run(ALONE)[2]
    for rail in (0, 3):
        settings = Settings(rail=rail)
        one = World(nodes=names(6), slow={"node004": 0.5} if rail == 3 else {}, healthy=48e9)
        own: list[Trial] = []
        while (asked := next_round(one.nodes, own, settings)) is not None:
            assert asked.rail == rail
            own += [Trial(round=t.round, nodes=t.nodes, values=t.values, rail=rail) for t in one.answer(asked)]
        trials += own
    said = localise(names(6), trials, ALONE)
    assert codes(said) == {"node004": ("slow_network", Verdict.FAIL)}
    assert said.nodes[0].proof.startswith("on rail 3 node004 failed with ")
    assert list(said.nodes[0].evidence["rails"]) == ["3"]  # type: ignore[call-overload]


def test_two_nodes_are_told_which_rail_is_slow_by_the_other_rails_of_the_same_pair() -> None:
    trials = [
        Trial(round=1, nodes=("a", "b"), values=(20e9 if rail == 3 else 48e9,) * 5, rail=rail) for rail in range(8)
    ]
    said = localise("ab", [Trial(round=1, nodes=("a", "b"), values=(350e9,) * 5), *trials], ALONE)
    assert codes(said) == dict.fromkeys("ab", ("unsplit", Verdict.INCONCLUSIVE))
    assert said.nodes[0].proof.startswith("on rail 3 a-b gave 20.0 GB/s of 48.0 GB/s: two nodes can't be split")


def test_findings_before_the_last_round_accuse_nobody_without_three_witnesses() -> None:
    world = World(nodes=names(12), slow={"node003": 0.5})
    first = next_round(world.nodes, [], ALONE)
    assert first is not None
    said = localise(world.nodes, world.answer(first), ALONE)
    assert {f.verdict for f in said.nodes} == {Verdict.INCONCLUSIVE}
    assert all(isinstance(link, LinkFinding) for link in said.links)


def test_the_same_trials_in_another_order_ask_for_the_same() -> None:
    world = World(nodes=names(12), slow={"node003": 0.5}, noise=0.02)
    first = next_round(world.nodes, [], ALONE)
    assert first is not None
    trials = world.answer(first)
    assert next_round(world.nodes, trials, ALONE) == next_round(world.nodes, trials[::-1], ALONE)


@pytest.mark.parametrize(
    "wrong",
    [{"least_ratio": 1.0}, {"noise_ratio": 0.5}, {"repeats": 2}, {"group_size": 3}, {"partners_to_convict": 1}],
)
def test_settings_that_make_no_sense_are_refused_with_their_name(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Settings(**wrong)  # type: ignore[arg-type]
