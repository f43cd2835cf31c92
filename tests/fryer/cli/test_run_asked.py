"""Options of a run over many nodes that can't be done are said in one sentence before anything starts, with exit 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fryer.cli.asked import Asked, check_asked
from fryer.plan import make_plan
from watchdog.vocabulary.errors import UsageError

FRYER = str(Path(sys.executable).with_name("fryer"))
SIMULATED = ("--nodes", "node[001-002]", "--simulate", "fleet_healthy")


def fryer(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FRYER, "run", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--nodes", "node001", "--launcher", "local"), "node001 is another one"),
        ((*SIMULATED, "--launcher", "slum"), "did you mean 'slurm'"),
        ((*SIMULATED, "--remote-command", ""), "for example /opt/fryer/bin/fryer"),
        ((*SIMULATED, "--remote-command", "'a"), "No closing quotation"),
        ((*SIMULATED, "--spares", "2"), "give 1 at most"),
        ((*SIMULATED, "--wait", "soon"), "--wait: 'soon' is not a duration"),
        ((*SIMULATED, "--nccl-json", "/nowhere/x.json"), "there is no directory /nowhere; make it first"),
        ((*SIMULATED, "--nccl-json", "/tmp"), "it is a directory; name a file"),
        ((*SIMULATED, "--nccl-json", "/tmp/x.json", "--collectives", "none"), "--collectives none sweeps nothing"),
        ((*SIMULATED, "--nccl-json", "/tmp/x.json", "--no-network"), "--no-network sweeps nothing"),
        (("--nodes", "localhost", "--nccl-json", "/tmp/x.json"), "add --collectives all_reduce"),
        ((*SIMULATED, "--report", "/tmp/one.html", "--nccl-json", "/tmp/../tmp/one.html"), "a file of its own"),
        (("--resume", ""), "--resume names no run"),
        (("--resume", "1", "--seed", "1", "--no-keep"), "leave out --seed and --no-keep"),
        (("--resume", "1", *SIMULATED, "--dtypes", "bf16"), "leave out --nodes, --dtypes and --simulate"),
    ],
)
def test_what_can_not_be_done_is_one_sentence_with_what_to_do(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = fryer(*words, "--state", str(tmp_path))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert said in done.stderr


def test_a_place_that_takes_no_store_is_wrong_usage() -> None:
    done = fryer(*SIMULATED, "--state", "/proc/none")
    assert (done.returncode, done.stdout) == (2, "")
    assert "choose another directory with --state DIR" in done.stderr


def test_a_drain_needs_slurm_before_hours_are_spent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    plan = make_plan(nodes=["a", "b"], seconds=60.0, dtypes=(), burns=(), seed=1, memory_ratio=None, scenario=None)
    asked = Asked(
        launcher="ssh",
        remote_command=None,
        nccl_json=None,
        has_network=True,
        has_drain=False,
        has_undrain=True,
        num_spares=0,
    )
    with pytest.raises(UsageError, match="--undrain needs Slurm, and there is no scontrol"):
        check_asked(asked, plan)


def test_a_file_that_can_not_be_written_in_the_end_holds_up_nothing_and_changes_no_failure(tmp_path: Path) -> None:
    """Both operations get a file of their own name, and a directory lies where the second one goes."""
    (tmp_path / "sweep.broadcast.json").mkdir()
    words = ("--collectives", "all_reduce,broadcast", "--sizes", "1G", "--state", str(tmp_path))
    for simulated, code in ((SIMULATED, 3), (("--nodes", "node[001-004]", "--simulate", "fleet_bad_link"), 1)):
        done = fryer(*simulated, *words, "--nccl-json", str(tmp_path / "sweep.json"), "--spares", "1")
        assert "sweep.broadcast.json: Is a directory; the run is in the history" in done.stderr
        assert "spares: " in done.stderr
        assert done.returncode == code


def test_the_report_comes_before_what_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "sweep.broadcast.json").mkdir()
    done = fryer(
        *SIMULATED,
        *("--collectives", "all_reduce,broadcast", "--sizes", "1G", "--state", str(tmp_path), "--json"),
        *("--nccl-json", str(tmp_path / "sweep.json"), "--report", str(tmp_path / "page.html")),
    )
    assert (tmp_path / "page.html").is_file()
    assert json.loads(done.stdout.splitlines()[-1])["verdict"] == "PASS"
