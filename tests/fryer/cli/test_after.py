"""What follows a run over a simulated fleet; real drains are tested over a real Slurm (`test_slurm_drain`)."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fleet_results import make_fleet

from fryer.cli.after import After, follow

FRYER = str(Path(sys.executable).with_name("fryer"))


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [FRYER, "run", "--nodes", "node[001-016]", "--simulate", "fleet_slow_node", "--no-keep", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_spares_are_healthy_nodes_with_the_figure_that_makes_them_the_slowest() -> None:
    done = run("--spares", "2")
    [line] = [one for one in done.stderr.splitlines() if one.startswith("spares: ")]
    chosen = line.removeprefix("spares: ").partition(";")[0].split(", ")
    assert len(chosen) == 2
    assert "node007" not in chosen
    figures = [one.split()[0] for one in done.stderr.splitlines() if "of the median, by" in one]
    assert figures == chosen
    assert done.returncode == 1


def test_a_simulated_node_is_never_drained() -> None:
    done = run("--drain")
    assert "nothing drained: simulated nodes are not drained" in done.stderr
    assert done.returncode == 1


def test_without_slurm_that_is_said_and_nothing_breaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    simulated = make_fleet(4)
    evidence = [
        replace(each, devices=tuple(replace(device, kind="cuda") for device in each.devices))
        for each in simulated.evidence
    ]
    assert not follow(replace(simulated, evidence=tuple(evidence)), After(has_undrain=True))
    assert "scontrol" in capsys.readouterr().err


def test_json_stays_json() -> None:
    done = run("--spares", "1", "--drain", "--json")
    assert all(line.startswith("{") for line in done.stdout.splitlines())
