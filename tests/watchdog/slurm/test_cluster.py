"""Drains in a real Slurm."""

import subprocess
import time

import pytest

from watchdog.slurm import Slurm
from watchdog.vocabulary.errors import SourceFailed


def by_hand(*settings: str) -> None:
    subprocess.run(["scontrol", "update", "nodename=node2", *settings], check=True, timeout=30)


def reasons() -> str:
    return subprocess.run(
        ["sinfo", "-R", "-h", "-o", "%N %E"], check=True, capture_output=True, text=True, timeout=30
    ).stdout.strip()


@pytest.mark.usefixtures("slurm")
def test_a_drain_shows_its_reason_and_an_undrain_gives_the_node_back():
    done = Slurm().drain("node1", 'xid_79 on node1/gpu:GPU-4: "fallen off",\nreboot = node')
    assert done.is_changed
    assert done.node.is_ours
    assert reasons() == "node1 fryer: xid_79 on node1/gpu:GPU-4: 'fallen off', reboot = node"
    assert (done.node.states, done.node.by) == (("IDLE", "DRAIN"), "root")
    back = Slurm().undrain("node1")
    assert (back.is_changed, back.node.is_drained, back.node.states[0]) == (True, False, "IDLE")
    assert reasons() == ""


@pytest.mark.usefixtures("slurm")
def test_what_somebody_else_drained_is_left_alone():
    by_hand("state=drain", "reason=ticket 4711: swap DIMM")
    done = Slurm().drain("node2", "xid 79")
    assert (done.is_changed, done.node.is_ours) == (False, False)
    assert done.why == "node2 is drained already by root: ticket 4711: swap DIMM"
    back = Slurm().undrain("node2")
    assert (back.is_changed, back.node.is_drained) == (False, True)
    assert back.why == "node2 was drained by root, not by us: ticket 4711: swap DIMM"
    assert reasons() == "node2 ticket 4711: swap DIMM"


@pytest.mark.usefixtures("slurm")
def test_a_reason_that_a_person_wrote_over_ours_makes_the_drain_theirs():
    Slurm().drain("node2", "xid 79")
    by_hand("reason=waits for parts")
    assert not Slurm().undrain("node2").is_changed


@pytest.mark.usefixtures("slurm")
def test_draining_twice_and_undraining_twice_is_fine():
    assert [Slurm().drain("node3", why).is_changed for why in ("first", "second")] == [True, False]
    assert Slurm().show("node3").reason == "fryer: first"
    assert [Slurm().undrain("node3").is_changed for _ in range(2)] == [True, False]


@pytest.mark.usefixtures("slurm")
def test_a_job_goes_on_while_its_node_drains():
    job = subprocess.Popen(["srun", "-w", "node4", "sleep", "2"])
    try:
        for _ in range(200):
            if {"ALLOCATED", "MIXED"} & set(Slurm().show("node4").states):
                break
            time.sleep(0.05)
        done = Slurm().drain("node4", "xid 63")
        assert done.node.is_drained
        assert done.node.states[0] in ("ALLOCATED", "MIXED")
        assert job.wait(30) == 0
    finally:
        job.kill()
        job.wait()


@pytest.mark.usefixtures("slurm")
def test_a_node_that_slurm_does_not_know_is_an_error_with_its_words():
    with pytest.raises(SourceFailed, match=r"show node node99 ended with 1: .*not found"):
        Slurm().drain("node99", "xid 79")
