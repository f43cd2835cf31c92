"""Sets of nodes as ``--nodes`` takes them, with groups of a configuration of ClusterShell's own."""

import subprocess
import sys
from pathlib import Path

import pytest

from fryer.node_sets import parse_set
from watchdog.vocabulary.errors import UsageError

GROUPS = """[Main]
default: lab
[lab]
map: case $GROUP in h100) echo 'node[1-4]';; *) true;; esac
all: echo 'node[1-9]'
list: echo h100 drained
"""


def test_each_node_once_and_in_order() -> None:
    assert parse_set("node[003,001-002],node002") == ("node001", "node002", "node003")


@pytest.mark.parametrize("name", ["node-1.rack_2", "10.0.0.1", "::1", "root@node1", "fe80::1%eth0"])
def test_names_and_addresses_are_nodes(name: str) -> None:
    from fryer.node_sets import _NAME

    assert _NAME.fullmatch(name)


@pytest.mark.parametrize("text", ["-oProxyCommand=x", "node 1", "a;b", "$(id)", "é"])
def test_what_is_no_name_of_a_host_never_reaches_ssh(text: str) -> None:
    with pytest.raises(UsageError, match="is no name of a host"):
        parse_set(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@h10", "did you mean 'h100'"),
        ("node1,@h10", "knows no group '@h10'"),
        ("node[1-3]!@h10", "knows no group '@h10'"),
        ("@h[10,100]", "knows no group '@h10'"),
        ("@slurm:gpu", "can't tell its groups"),
        ("@drained", "names no node"),
        ("node[1-3]!node[1-3]", "names no node"),
        ("node[1-99999]", "16,384 is the most"),
        ("node[3-1]", "is no node set"),
    ],
)
def test_a_group_that_nobody_knows_is_not_taken_for_an_empty_one(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "groups.conf").write_text(GROUPS)
    assert said in parsed(text, tmp_path)


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("@h100", "node1 node2 node3 node4"),
        ("@*!@h100", "node5 node6 node7 node8 node9"),
        ("node[1-3]!@drained", "node1 node2 node3"),
    ],
)
def test_groups_and_those_that_are_empty_now(text: str, nodes: str, tmp_path: Path) -> None:
    (tmp_path / "groups.conf").write_text(GROUPS)
    assert parsed(text, tmp_path) == nodes


def parsed(text: str, directory: Path) -> str:
    """In a process of its own: ClusterShell reads its configuration once in a process's life."""
    program = (
        "import sys\nfrom fryer.node_sets import parse_set\nfrom watchdog.vocabulary.errors import UsageError\n"
        "try:\n    print(*parse_set(sys.argv[1]))\nexcept UsageError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, text],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"CLUSTERSHELL_CFGDIR": str(directory), "PATH": "/usr/bin:/bin"},
    )
    return done.stdout.strip()
