"""``fryer run --collectives``, ``--sizes`` and ``--nccl-json``, as a user types them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fryer", "run", "--no-keep", "--duration", "20s", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def documents(done: subprocess.CompletedProcess[str]) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_fleet_is_swept_without_being_asked() -> None:
    done = run("--nodes", "node[001-004]", "--simulate", "fleet_healthy", "--json")
    assert done.returncode == 0, done.stderr
    swept = [one for one in documents(done) if one["type"] == "sweep"]
    assert [one["scope"] for one in swept] == ["inside"] * 4 + ["between"]
    assert {each["code"] for one in swept for each in one["judgements"]} == {"at_expected"}
    assert {"nodes", "links", "proof"} <= set(documents(done)[-1])


def test_operations_and_sizes_are_chosen_and_written_as_nccl_tests_would(tmp_path: Path) -> None:
    words = ["--collectives", "all_reduce,alltoall", "--sizes", "1G:8G:2", "--nccl-json", str(tmp_path / "n.json")]
    done = run("--nodes", "node[001-002]", "--simulate", "fleet_healthy", *words)
    assert done.returncode == 0, done.stderr
    assert "# Collective test concluded: alltoall_perf" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"n.all_reduce.json", "n.alltoall.json"}
    written = json.loads((tmp_path / "n.alltoall.json").read_text())
    assert [line["size"] >> 30 for line in written["results"]] == [1, 2, 4, 8]


def test_one_node_is_swept_inside_where_somebody_asks_for_it() -> None:
    done = run("--nodes", "node001", "--simulate", "fleet_healthy", "--collectives", "all_reduce", "--json")
    assert done.returncode == 0, done.stderr
    [swept] = [one for one in documents(done) if one["type"] == "sweep"]
    assert (swept["scope"], swept["verdict"], swept["nodes"]) == ("inside", "PASS", ["node001"])


def test_none_sweeps_nothing() -> None:
    done = run("--nodes", "node[001-002]", "--simulate", "fleet_healthy", "--collectives", "none", "--json")
    assert done.returncode == 0, done.stderr
    assert not [one for one in documents(done) if one["type"] == "sweep"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--collectives", "allreduce"], "did you mean 'all_reduce'"),
        (["--sizes", "8:8T"], "'8T' is no size"),
        (["--sizes", "8", "--no-network"], "leave out --no-network"),
        (["--nccl-json", "/proc/absent/n.json"], "there is no directory /proc/absent; make it first"),
    ],
)
def test_a_wrong_choice_is_wrong_usage(words: list[str], message: str) -> None:
    done = run("--nodes", "node[001-002]", "--simulate", "fleet_healthy", *words)
    assert done.returncode == 2
    assert message in done.stderr
