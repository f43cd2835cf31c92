"""What scontrol prints, what it is given, and what becomes of a scontrol that fails."""

import pytest

from watchdog.slurm import MOST_REASON, Slurm, parse_node, reason_of
from watchdog.vocabulary.errors import SourceFailed, SourceMissing, UsageError

LINE = "NodeName=n1 Arch=x86_64 CPUAlloc=0 Gres=gpu:8 State={} ThreadsPerCore=1 CurrentWatts=0 {}\n"


@pytest.mark.parametrize(
    ("state", "states", "is_drained"),
    [
        ("IDLE", ("IDLE",), False),
        ("IDLE+DRAIN", ("IDLE", "DRAIN"), True),
        ("DOWN*+DRAIN", ("DOWN", "DRAIN"), True),
        ("MIXED-", ("MIXED",), False),
        ("ALLOCATED+DRAIN+NOT_RESPONDING", ("ALLOCATED", "DRAIN", "NOT_RESPONDING"), True),
        ("IDLE~", ("IDLE",), False),
    ],
)
def test_states_are_read_without_their_marks(state, states, is_drained):
    node = parse_node("n1", LINE.format(state, ""))
    assert (node.states, node.is_drained, node.reason) == (states, is_drained, "")


@pytest.mark.parametrize(
    ("tail", "reason", "by"),
    [
        ("Reason=fryer: xid 79 [root@2026-03-01T10:00:00]", "fryer: xid 79", "root"),
        ("Reason=fryer: xid 79 [root@2026-03-01T10:00:00] Comment=State=IDLE", "fryer: xid 79", "root"),
        ("Reason=bad [PSU] unit [ana@2026-03-01T10:00:00]", "bad [PSU] unit", "ana"),
        ("Reason=Not responding", "Not responding", ""),
        ("Reason=(null)", "", ""),
    ],
)
def test_reasons_are_read_whole_with_who_wrote_them(tail, reason, by):
    node = parse_node("n1", LINE.format("IDLE+DRAIN", tail))
    assert (node.reason, node.by, node.is_ours) == (reason, by, reason.startswith("fryer: "))


def test_a_node_that_is_not_drained_is_not_ours_whatever_its_reason():
    assert not parse_node("n1", LINE.format("IDLE", "Reason=fryer: old [root@x]")).is_ours


def test_output_without_a_state_is_never_taken_for_a_healthy_node():
    with pytest.raises(SourceFailed, match="says nothing of node n1: empty output"):
        parse_node("n1", "")


def test_a_reason_is_one_line_with_our_prefix_and_bounded():
    assert reason_of('xid 79\n on "gpu\\4"\x07') == "fryer: xid 79 on 'gpu/4'"
    assert reason_of("fryer: again") == "fryer: again"
    assert len(reason_of("x" * 1000)) == MOST_REASON


@pytest.mark.parametrize("node", ["", "node[1-4]", "node1,node2", "-a", "n1 state=down", "node1;ls", "ALL\n"])
def test_only_a_single_nodes_name_is_taken(node):
    with pytest.raises(UsageError, match="is no name of one Slurm node"):
        Slurm(scontrol="/bin/false").drain(node, "x")


def test_without_scontrol_there_is_no_slurm():
    with pytest.raises(SourceMissing, match=r"can't be run here.*install slurm-client"):
        Slurm(scontrol="no-such-scontrol").show("n1")


def test_a_scontrol_that_hangs_is_given_up_at_the_deadline(tmp_path):
    program = tmp_path / "scontrol"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    with pytest.raises(SourceFailed, match=r"gave no answer within 0\.2 s; is slurmctld up"):
        Slurm(scontrol=str(program), deadline_seconds=0.2).show("n1")


def test_a_scontrol_that_takes_the_drain_and_does_nothing_is_found_out(tmp_path):
    program = tmp_path / "scontrol"
    program.write_text("#!/bin/sh\necho NodeName=n1 State=IDLE\n")
    program.chmod(0o755)
    with pytest.raises(SourceFailed, match="accepted the drain of n1, but its state is IDLE"):
        Slurm(scontrol=str(program)).drain("n1", "xid 79")
