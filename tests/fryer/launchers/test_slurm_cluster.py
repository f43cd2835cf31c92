"""What a cluster says of nodes, and the command lines that follow from it."""

import sys

import pytest

from fryer.launchers.slurm_cluster import (
    MOST_NODES_BYTES,
    SlurmOptions,
    clean_environment,
    gpus_of,
    listed,
    read_nodes,
    require,
    salloc_command,
    srun_command,
)
from watchdog.vocabulary.errors import UsageError

LINE = "NodeName={} Arch=x86_64 CPUTot=8 Gres={} NodeAddr=10.0.0.1 State={} ThreadsPerCore=1 {}"


def facts(name="n1", gres="gpu:8", state="IDLE", tail=""):
    return read_nodes(LINE.format(name, gres, state, tail))[name]


@pytest.mark.parametrize(
    ("gres", "count"),
    [
        ("gpu:8", 8),
        ("gpu:h100:8(S:0-1)", 8),
        ("gpu:a100:2,gpu:h100:4,nic:8", 6),
        ("nic:8", 0),
        ("(null)", 0),
        ("gpu:h100:8(S:0-1),shard:h100:64", 8),
    ],
)
def test_gpus_of_a_node_are_counted(gres, count):
    assert facts(gres=gres).num_gpus == count


@pytest.mark.parametrize(
    ("state", "is_allocated", "is_usable"),
    [
        ("IDLE", False, True),
        ("MIXED", False, True),
        ("ALLOCATED", False, True),
        ("IDLE+PLANNED", False, True),
        ("IDLE+MAINTENANCE+RESERVED", False, True),
        ("IDLE+CLOUD+POWERED_DOWN", False, True),
        ("IDLE+DRAIN", False, False),
        ("MIXED+DRAIN", True, True),
        ("DOWN*", False, False),
        ("DOWN*+DRAIN", True, False),
        ("IDLE+NOT_RESPONDING", True, False),
        ("IDLE+INVALID_REG", False, False),
        ("FAIL", False, False),
    ],
)
def test_nodes_on_which_nothing_can_be_started_are_known_by_their_states(state, is_allocated, is_usable):
    assert (facts(state=state).why_not(is_allocated=is_allocated) == "") is is_usable


def test_the_reason_of_a_drain_is_told_with_who_wrote_it():
    node = facts(state="IDLE+DRAIN", tail="Reason=ticket 4711: swap DIMM [ana@2026-03-01T10:00:00]")
    assert node.why_not(is_allocated=False) == "n1 is IDLE+DRAIN in Slurm: ticket 4711: swap DIMM (ana)"


def test_gpus_are_asked_for_since_exclusive_alone_gives_none():
    command = salloc_command(SlurmOptions(partition="p", time_seconds=61), ["n1", "n2"], 8, "fryer")
    assert command == [
        "salloc",
        "--job-name=fryer",
        "--nodelist=n1,n2",
        "--nodes=2",
        "--exclusive",
        "--mem=0",
        "--no-kill",
        "--partition=p",
        "--time=2",
        "--gres=gpu:8",
    ]
    own = SlurmOptions(extra=("--gpus-per-node=4", "--constraint=h100"))
    assert salloc_command(own, ["n1"], 8, "fryer")[-2:] == ["--gpus-per-node=4", "--constraint=h100"]
    assert not any("--gres" in word for word in salloc_command(own, ["n1"], 8, "fryer"))


def test_nodes_of_different_kinds_are_to_be_run_apart():
    nodes = [facts(), facts("n2"), facts("n3", gres="gpu:4")]
    assert gpus_of(nodes[:2], SlurmOptions()) == 8
    assert gpus_of([], SlurmOptions()) == 0
    with pytest.raises(UsageError, match=r"different numbers of GPUs on these nodes \(n3: 4; n\[1-2\]: 8\)"):
        gpus_of(nodes, SlurmOptions())
    assert gpus_of(nodes, SlurmOptions(extra=("--gres=gpu:4",))) == 8


def test_the_worker_is_a_program_and_only_the_users_own_words_need_a_shell():
    command = srun_command(["n1", "n2"], None, "7")
    assert command[-5:] == [sys.executable, "-m", "fryer", "worker", "--piece-bytes=900"]
    assert command[:4] == ["srun", "--jobid=7", "--nodelist=n1,n2", "--nodes=2"]
    own = srun_command(["n1"], "module load cuda && /opt/fryer", None)
    assert own[-3:] == ["sh", "-c", "module load cuda && /opt/fryer worker --piece-bytes=900"]
    assert not any(word.startswith("--jobid") for word in own)


def test_what_a_surrounding_job_asked_for_does_not_bind_the_workers(monkeypatch):
    for name in ("SLURM_GPUS_PER_TASK", "SLURM_CPUS_PER_TASK", "SRUN_DEBUG", "SLURM_EXPORT_ENV"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    inside = clean_environment({"GLOO_SOCKET_IFNAME": "ib0"}, is_inside=True)
    assert {name for name in inside if name.startswith(("SLURM", "SRUN"))} == {"SLURM_CONF", "SLURM_JOB_ID"}
    assert inside["GLOO_SOCKET_IFNAME"] == "ib0"
    assert "SLURM_JOB_ID" not in clean_environment({}, is_inside=False)


def test_names_that_fit_no_command_line_are_said_to_be_too_many():
    assert listed(["n1", "n2"]) == "n1,n2"
    with pytest.raises(UsageError, match=r"2001 nodes have [\d,]+ bytes, and a command takes 120,000"):
        listed(["n" * (MOST_NODES_BYTES // 2000)] * 2001)


def test_programs_that_are_missing_are_named():
    with pytest.raises(UsageError, match="no-such-salloc can't be found on PATH"):
        require("sh", "no-such-salloc")
