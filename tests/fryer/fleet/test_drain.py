"""Which nodes a run drains and gives back, and what is told when Slurm does not."""

from dataclasses import replace

import pytest
from fleet_results import below_floor, evidence_of, names, slow_network, unreachable, verdict_of, warm
from hypothesis import given
from hypothesis import strategies as st

from fryer.evidence import NodeVerdict
from fryer.fleet.drain import (
    MOST_RATIO,
    Done,
    Drain,
    decide_drains,
    decide_undrains,
    drain_failed,
    most_drains,
    proves,
    told,
    undrain_passed,
)
from fryer.plan import Plan
from fryer.result import Network, RunInfo, RunResult
from watchdog.slurm import MOST_REASON, Outcome, SlurmNode, reason_of
from watchdog.vocabulary.errors import SourceFailed
from watchdog.vocabulary.verdicts import Verdict

RUN = "6a0c9d7e-0f62-4f0c-9a0e-2f6d6f3d1c11"


def result_of(*verdicts: NodeVerdict, kind: str = "cuda", network: Network | None = None) -> RunResult:
    evidence = []
    for verdict in verdicts:
        one = evidence_of(verdict.node, num_gpus=4)
        evidence.append(replace(one, devices=tuple(replace(device, kind=kind) for device in one.devices)))
    info = RunInfo(
        run_id=RUN,
        started_at="2026-03-01T10:00:00+00:00",
        plan=Plan(nodes=(), dtypes=(), phases=(), seed=7, memory_ratio=0.9),
        command="fryer run",
    )
    return RunResult(info=info, seconds=1.0, evidence=tuple(evidence), verdicts=verdicts, network=network)


def passed(node: str) -> NodeVerdict:
    return verdict_of(evidence_of(node, num_gpus=4))


def failed(node: str) -> NodeVerdict:
    return verdict_of(
        evidence_of(node, num_gpus=4), of_devices={"gpu1": (warm(node),), "gpu3": (below_floor(node, "gpu3", 0.8),)}
    )


class Cluster:
    """Slurm's answers by node, and what was asked of it."""

    def __init__(self, nodes: dict[str, SlurmNode], broken: tuple[str, ...] = ()) -> None:
        self.nodes = nodes
        self.broken = broken
        self.done: list[tuple[str, str]] = []

    def show(self, node: str) -> SlurmNode:
        if node in self.broken:
            raise SourceFailed(f"scontrol show node {node} ended with 1")
        return self.nodes.get(node, SlurmNode(name=node, states=("IDLE",)))

    def drain(self, node: str, why: str) -> Outcome:
        self.show(node)
        self.done.append(("drain", node))
        return Outcome(node=SlurmNode(name=node, states=("IDLE", "DRAIN"), reason=why), is_changed=True, why="drained")

    def undrain(self, node: str) -> Outcome:
        self.done.append(("undrain", node))
        ours = self.show(node).is_ours
        return Outcome(node=self.show(node), is_changed=ours, why="given back" if ours else "not by us")


def test_a_failed_node_is_drained_for_its_gravest_reason_with_the_runs_id():
    decision = decide_drains(result_of(passed("node001"), failed("node002"), passed("node003")))
    why = f"below_floor on gpu3; run {RUN}: gemm bf16 8192x8192x8192 at 583 TFLOP/s, floor 650 TFLOP/s"
    assert decision.drains == (Drain(node="node002", why=why),)
    assert decision.held_back == ""
    assert RUN in reason_of(why)


def test_the_code_and_the_run_survive_slurms_limit_of_a_reason():
    reason = slow_network("node001", "node002", "node003")
    long = replace(reason, message="x" * 500)
    (drain,) = decide_drains(result_of(verdict_of(evidence_of("node001"), of_node=(long,)))).drains
    assert len(reason_of(drain.why)) == MOST_REASON
    assert reason_of(drain.why).startswith(f"fryer: slow_network; run {RUN}: xxx")


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.FAIL])
def test_no_other_verdict_drains(verdict):
    node = NodeVerdict(node="node001", verdict=verdict, devices=(), reasons=(unreachable("node001"),))
    assert decide_drains(result_of(node)).drains == ()


def test_more_failures_than_a_tenth_drain_nothing_and_say_why():
    nodes = names(20)
    verdicts = [failed(node) if index < 3 else passed(node) for index, node in enumerate(nodes)]
    decision = decide_drains(result_of(*verdicts))
    assert decision.drains == ()
    assert decision.held_back == (
        "3 of 20 nodes failed, and a run drains 2 at most: look for a cause that they share; drain them by hand when "
        "each is to blame"
    )
    assert len(decide_drains(result_of(*verdicts), most=3).drains) == 3
    assert decide_drains(result_of(*verdicts), most=0).drains == ()


@given(st.integers(1, 5000))
def test_a_run_may_drain_a_tenth_and_always_one(num_nodes):
    most = most_drains(num_nodes)
    assert most == 1 or most <= num_nodes * MOST_RATIO
    assert most + 1 > num_nodes * MOST_RATIO


def test_simulated_nodes_are_neither_drained_nor_given_back():
    result = result_of(failed("node001"), passed("node002"), kind="simulated")
    assert decide_drains(result).held_back == "simulated nodes are not drained"
    assert decide_undrains(result) == ()


def test_only_what_was_measured_to_the_end_and_passed_is_given_back():
    result = result_of(passed("node001"), failed("node002"), passed("node003"), passed("node004"))
    warned = verdict_of(evidence_of("node005", num_gpus=4), of_devices={"gpu1": (warm("node005"),)})
    more = result_of(warned)
    evidence = (
        *result.evidence[:2],
        replace(result.evidence[2], interrupted="Ctrl-C"),
        replace(result.evidence[3], measurements=()),
        *more.evidence,
    )
    whole = replace(result, evidence=evidence, verdicts=(*result.verdicts, *more.verdicts))
    assert decide_undrains(whole) == ("node001",)


def test_a_node_that_slurm_does_not_drain_holds_up_no_other():
    cluster = Cluster({}, broken=("node001",))
    _, done = drain_failed(result_of(failed("node001"), failed("node002")), cluster, most=2)
    assert done == (
        Done(node="node001", is_changed=False, why="scontrol show node node001 ended with 1", is_failed=True),
        Done(node="node002", is_changed=True, why="drained"),
    )
    assert cluster.done == [("drain", "node002")]


def test_only_our_drains_are_lifted_and_nodes_in_use_are_not_spoken_of():
    ours = SlurmNode(name="node001", states=("IDLE", "DRAIN"), reason=f"fryer: below_floor on gpu3; run {RUN}: x")
    theirs = SlurmNode(name="node002", states=("DOWN", "DRAIN"), reason="DIMM")
    cluster = Cluster({"node001": ours, "node002": theirs}, broken=("node004",))
    done = undrain_passed(result_of(*map(passed, ("node001", "node002", "node003", "node004"))), cluster)
    assert [(each.node, each.is_changed, each.is_failed) for each in done] == [
        ("node001", True, False),
        ("node002", False, False),
        ("node004", False, True),
    ]
    assert ("undrain", "node003") not in cluster.done


def test_burns_alone_do_not_clear_a_drain_for_the_network():
    reason = f"fryer: slow_network; run {RUN}: node001 failed with node002"
    cluster = Cluster({"node001": SlurmNode(name="node001", states=("IDLE", "DRAIN"), reason=reason)})
    (done,) = undrain_passed(result_of(passed("node001")), cluster)
    assert done.why == (f"node001 stays drained: this run measured no network, and the reason is one of it: {reason}")
    assert cluster.done == []
    assert proves(reason, result_of(passed("node001"), network=Network()))
    assert proves("fryer: xid_79 on node1: fallen off", result_of(passed("node001")))


def test_people_are_told_what_was_done_and_what_was_not():
    decision = decide_drains(result_of(failed("node001"), failed("node002")))
    done = (
        Done(node="a", is_changed=True, why="a is drained"),
        Done(node="b", is_changed=False, why="x", is_failed=True),
    )
    assert told(decision, done)[:2] == ("a is drained", "not done: x")
    assert told(decision, done)[2].startswith("nothing drained: 2 of 2 nodes failed")
