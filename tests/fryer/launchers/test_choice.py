"""Which launcher serves a set of nodes. ``sinfo`` is a program on PATH; a real one is asked in the tests of Slurm."""

import os
from pathlib import Path
from socket import gethostname

import pytest

from fryer.launchers import Choice, choose
from watchdog.vocabulary.errors import UsageError


def with_sinfo(directory: Path, text: str) -> dict[str, str]:
    """An environment whose ``sinfo`` runs `text`."""
    path = directory / "sinfo"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return {"PATH": f"{directory}:{os.environ['PATH']}"}


@pytest.mark.parametrize("node", ["localhost", "127.0.0.1", gethostname()])
def test_this_machine_alone_is_local_also_inside_a_slurm_job(node: str) -> None:
    assert choose("auto", [node], {"SLURM_JOB_ID": "7"}) == Choice(
        launcher="local", why="this machine is the only node"
    )


def test_inside_an_allocation_it_is_slurm() -> None:
    assert choose("auto", ["node001"], {"SLURM_JOB_ID": "7"}) == Choice(launcher="slurm", why="inside Slurm job 7")


def test_nodes_that_slurm_knows_are_slurm_s(tmp_path: Path) -> None:
    environment = with_sinfo(tmp_path, "echo 'node[001-004]'; echo login1")
    assert choose("auto", ["node001", "node004"], environment) == Choice(
        launcher="slurm", why="Slurm knows all of the nodes"
    )


def test_one_node_that_slurm_does_not_know_makes_it_ssh(tmp_path: Path) -> None:
    environment = with_sinfo(tmp_path, "echo 'node[001-004]'")
    assert choose("auto", ["node001", "node005"], environment) == Choice(
        launcher="ssh", why="Slurm does not know node005"
    )


@pytest.mark.parametrize("text", ["exit 1", "echo 'node[001-'", ""])
def test_a_slurm_that_does_not_answer_well_makes_it_ssh(tmp_path: Path, text: str) -> None:
    choice = choose("auto", ["node001"], with_sinfo(tmp_path, text))
    assert choice.launcher == "ssh"


def test_without_slurm_it_is_ssh() -> None:
    assert choose("auto", ["node001"], {"PATH": "/nowhere"}) == Choice(
        launcher="ssh", why="there is no Slurm here that answers"
    )


def test_what_is_asked_for_is_taken() -> None:
    assert choose("ssh", ["localhost"], {}) == Choice(launcher="ssh", why="as asked for")


def test_an_unknown_launcher_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"--launcher: unknown launcher 'slrum'; did you mean 'slurm'\?"):
        choose("slrum", ["node001"])
