"""After a run: a failed node is drained in a real Slurm, and given back once it passed."""

import subprocess
from collections.abc import Sequence
from dataclasses import replace

import pytest
from fleet_results import below_floor, evidence_of, info_of, verdict_of

from fryer.fleet.drain import Done, drain_failed, undrain_passed
from fryer.result import RunResult
from watchdog.slurm import Slurm

NODES = ("node1", "node2", "node3", "node4")

pytestmark = pytest.mark.usefixtures("slurm")


def result_of(*, failed: Sequence[str] = ()) -> RunResult:
    """A run over four real nodes."""
    evidence, verdicts = [], []
    for node in NODES:
        one = evidence_of(node, num_gpus=1)
        one = replace(one, devices=tuple(replace(device, kind="cuda") for device in one.devices))
        reasons = {"gpu0": (below_floor(node, "gpu0", 0.8),)} if node in failed else {}
        evidence.append(one)
        verdicts.append(verdict_of(one, of_devices=reasons))
    return RunResult(info=info_of(NODES), seconds=1.0, evidence=tuple(evidence), verdicts=tuple(verdicts))


def reasons() -> list[str]:
    done = subprocess.run(["sinfo", "-R", "-h", "-o", "%N %E"], check=True, capture_output=True, text=True, timeout=30)
    return sorted(done.stdout.splitlines())


def test_a_failed_node_is_drained_with_the_runs_id_and_given_back_after_a_pass():
    bad = result_of(failed=["node3"])
    decision, (done,) = drain_failed(bad, Slurm())
    assert (done.is_changed, decision.held_back) == (True, "")
    (reason,) = reasons()
    assert reason.startswith(f"node3 fryer: below_floor on gpu0; run {bad.info.run_id}: gemm")
    assert [each.is_changed for each in undrain_passed(bad, Slurm())] == []
    assert undrain_passed(result_of(), Slurm()) == (Done(node="node3", is_changed=True, why="node3 is given back"),)
    assert reasons() == []


def test_many_failures_drain_nothing():
    decision, done = drain_failed(result_of(failed=NODES[:2]), Slurm())
    assert done == ()
    assert decision.held_back.startswith("2 of 4 nodes failed, and a run drains 1 at most")
    assert reasons() == []


def test_what_somebody_else_drained_is_not_given_back():
    subprocess.run(["scontrol", "update", "nodename=node1", "state=drain", "reason=DIMM"], check=True, timeout=30)
    (done,) = undrain_passed(result_of(), Slurm())
    assert (done.is_changed, done.why) == (False, "node1 was drained by root, not by us: DIMM")
    assert reasons() == ["node1 DIMM"]
