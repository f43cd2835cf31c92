"""Which healthy nodes are proposed as spares."""

from collections.abc import Mapping
from dataclasses import replace

from fleet_results import below_floor, evidence_of, names, verdict_of, warm
from hypothesis import given
from hypothesis import strategies as st

from fryer.evidence import NodeEvidence, NodeVerdict, Reason
from fryer.fleet.spares import propose_spares
from fryer.localise import Trial
from fryer.plan import Plan
from fryer.result import Network, RunInfo, RunResult
from watchdog.vocabulary.verdicts import Verdict

GOOD = 378e9


def exact(node: str, slow: Mapping[tuple[str, str], float] | None = None) -> NodeEvidence:
    """Without noise: each figure is the same on all nodes, but for `slow`."""
    found = evidence_of("node001", num_gpus=2)
    measurements = tuple(
        replace(each, value=1e12 * (slow or {}).get((each.device, each.burn), 1.0)) for each in found.measurements
    )
    return replace(found, node=node, measurements=measurements)


def result_of(
    evidence: list[NodeEvidence], reasons: Mapping[str, Reason] | None = None, trials: tuple[Trial, ...] | None = None
) -> RunResult:
    verdicts: list[NodeVerdict] = []
    for each in evidence:
        reason = (reasons or {}).get(each.node)
        verdicts.append(verdict_of(each, of_node=(reason,) if reason else ()))
    return RunResult(
        info=RunInfo(
            run_id="r", started_at="", plan=Plan(nodes=(), dtypes=(), phases=(), seed=7, memory_ratio=0.9), command=""
        ),
        seconds=1.0,
        evidence=tuple(evidence),
        verdicts=tuple(verdicts),
        network=None if trials is None else Network(trials=trials),
    )


def test_the_slowest_of_the_healthy_are_spares_with_the_figures_that_say_so():
    slow = {"node003": {("gpu1", "gemm"): 0.97}, "node005": {("gpu0", "hbm"): 0.95}}
    proposal = propose_spares(result_of([exact(node, slow.get(node)) for node in names(6)]), 1)
    (spare,) = proposal.spares
    assert (spare.node, round(spare.pace_ratio, 6), spare.slowest) == ("node005", 0.95, "gpu0 hbm copy")
    assert (spare.devices_ratio, spare.network_ratio, spare.group) == (spare.pace_ratio, None, "")
    assert proposal.members[0].node == "node003"
    assert proposal.why == (
        "the 1 slowest healthy nodes are spares: the job's slowest member is then node003 at 97.0% of the median, "
        "which is 2.1% more than with them"
    )


def test_what_is_not_proved_fit_is_neither_spare_nor_member_and_a_warning_is_no_spare():
    nodes = [exact(node) for node in names(6)]
    nodes[3] = replace(nodes[3], interrupted="Ctrl-C")
    nodes[4] = replace(nodes[4], measurements=())
    reasons = {"node001": warm("node001"), "node002": below_floor("node002", "gpu0", 0.8)}
    proposal = propose_spares(result_of(nodes, reasons), 3)
    assert [each.node for each in proposal.spares] == ["node003", "node006"]
    assert [(each.node, each.verdict) for each in proposal.members] == [("node001", Verdict.WARN)]
    assert proposal.unfit == ("node002", "node004", "node005")
    assert proposal.why == (
        "only 2 of 3 spares are healthy: the job's slowest member is then node001 at 100.0% of the median, which is "
        "0.0% more than with them"
    )


def test_when_all_healthy_nodes_are_spares_none_is_left():
    proposal = propose_spares(result_of([exact(node) for node in names(2)]), 2)
    assert proposal.why == "all healthy nodes are spares: none is left for the job"


def test_a_slow_network_makes_a_spare_too():
    pairs = [("node001", "node002"), ("node003", "node004"), ("node002", "node003"), ("node004", "node001")]
    trials = tuple(
        Trial(round=1, nodes=pair, values=(GOOD * (0.93 if "node003" in pair else 1.0),) * 3) for pair in pairs
    )
    proposal = propose_spares(result_of([exact(node) for node in names(4)], trials=trials), 1)
    (spare,) = proposal.spares
    assert (spare.node, spare.slowest) == ("node003", "network")
    assert spare.network_ratio == spare.pace_ratio < 1.0


def test_pairs_with_a_node_that_failed_and_single_rails_say_nothing_of_the_healthy():
    trials = (
        Trial(round=1, nodes=("node001", "node002"), values=(GOOD * 0.5,)),
        Trial(round=1, nodes=("node003", "node004"), values=(GOOD,)),
        Trial(round=2, nodes=("node002", "node003"), values=(GOOD,)),
        Trial(round=3, nodes=("node002", "node003"), values=(GOOD / 8,), rail=2),
        Trial(round=4, nodes=("node002", "node004"), values=(), problem="broke"),
    )
    reasons = {"node001": below_floor("node001", "gpu0", 0.8)}
    proposal = propose_spares(result_of([exact(node) for node in names(4)], reasons, trials), 0)
    assert [each.network_ratio for each in proposal.members] == [1.0, 1.0, 1.0]
    assert proposal.why == "no spares were asked for"


def test_among_equals_spares_come_from_different_racks():
    nodes = [f"rack{rack}-node{index}" for rack in (1, 2, 3) for index in (1, 2, 3)]
    proposal = propose_spares(result_of([exact(node) for node in nodes]), 4)
    assert [each.node for each in proposal.spares] == ["rack1-node1", "rack2-node1", "rack3-node1", "rack1-node2"]
    assert [each.group for each in proposal.spares[:2]] == ["rack1-node", "rack2-node"]


def test_a_slower_node_goes_before_another_rack():
    nodes = [exact(f"rack{rack}-node{index}") for rack in (1, 2) for index in (1, 2, 3)]
    nodes[0] = exact("rack1-node1", {("gpu0", "gemm"): 0.96})
    nodes[1] = exact("rack1-node2", {("gpu0", "gemm"): 0.975})
    proposal = propose_spares(result_of(nodes), 2)
    assert [each.node for each in proposal.spares] == ["rack1-node1", "rack1-node2"]


def test_given_groups_go_before_those_of_names():
    groups = {"node001": "s1", "node002": "s1", "node003": "s2", "node004": "s2"}
    proposal = propose_spares(result_of([exact(node) for node in names(4)]), 2, groups)
    assert [each.node for each in proposal.spares] == ["node001", "node003"]


@given(st.lists(st.floats(0.9, 1.0), min_size=1, max_size=12), st.integers(0, 14))
def test_no_member_is_slower_than_a_spare_by_more_than_a_runs_noise(paces, count):
    nodes = [exact(node, {("gpu0", "gemm"): pace}) for node, pace in zip(names(len(paces)), paces, strict=True)]
    proposal = propose_spares(result_of(nodes), count)
    assert len(proposal.spares) == min(count, len(paces))
    assert {each.node for each in (*proposal.spares, *proposal.members)} == set(names(len(paces)))
    if proposal.spares and proposal.members:
        assert proposal.members[0].pace_ratio >= max(s.pace_ratio for s in proposal.spares) / 1.0100001
