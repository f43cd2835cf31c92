"""A run that is submitted to a real Slurm of four nodes, and goes on without whoever submitted it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fryer.launchers.slurm_batch import batch_script, sbatch_command
from fryer.launchers.slurm_cluster import SlurmOptions

RUN = [sys.executable, "-m", "fryer", "run", "--batch", "--burns", "gemm", "--dtypes", "fp32", "--no-network"]
SMALL = ["--memory", "0.001", "--seed", "1"]


def submit(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, *SMALL, *words], check=False, capture_output=True, text=True, timeout=120, cwd=directory
    )


def state_of(job: str) -> tuple[str, str]:
    """State and exit code, as Slurm keeps them."""
    done = subprocess.run(["scontrol", "--oneliner", "show", "job", job], capture_output=True, text=True, check=True)
    words = dict(word.partition("=")[::2] for word in done.stdout.split())
    return words["JobState"], words["ExitCode"]


def wait_for(job: str, states: tuple[str, ...], seconds: float = 120.0) -> tuple[str, str]:
    until = time.monotonic() + seconds
    while state_of(job)[0] not in states:
        assert time.monotonic() < until, state_of(job)
        time.sleep(0.3)
    return state_of(job)


def verdict_in(out: Path) -> dict[str, object]:
    return json.loads(out.read_text().splitlines()[-1])


@pytest.mark.usefixtures("slurm")
def test_a_submitted_run_leaves_its_results_where_it_said(tmp_path: Path) -> None:
    words = ["--nodes", "node[1-3]", "--duration", "1s", "--json", "--time", "0:10:00", "--partition", "main"]
    done = submit(tmp_path, *words, "--state", str(tmp_path / "state"))
    assert done.returncode == 0, done.stderr
    job = done.stdout.removeprefix("Submitted batch job ").strip()
    assert job.isdigit()
    assert f"results: {tmp_path}/fryer-{job}.out, {tmp_path}/fryer-{job}.err (progress)" in done.stderr
    state, exit_code = wait_for(job, ("COMPLETED", "FAILED"))
    verdict = verdict_in(tmp_path / f"fryer-{job}.out")
    assert [node["node"] for node in verdict["nodes"]] == ["node1", "node2", "node3"]
    assert all(node["devices"] for node in verdict["nodes"]), (tmp_path / f"fryer-{job}.err").read_text()
    fit = verdict["verdict"] in ("PASS", "WARN")
    assert (state, exit_code) == (("COMPLETED", "0:0") if fit else ("FAILED", f"{verdict['exit_code']}:0"))
    assert (tmp_path / f"fryer-{job}.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "state").is_dir()


@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize("program", [None, f"true && {sys.executable} -m fryer"], ids=["alone", "behind a shell"])
def test_a_signal_to_the_script_ends_the_run_early_and_it_is_judged(program: str | None, tmp_path: Path) -> None:
    words = ["--nodes", "node[1-2]", "--duration", "600s", "--json", "--no-keep"]
    done = submit(tmp_path, *words, *(["--remote-command", program] if program else []))
    job = done.stdout.removeprefix("Submitted batch job ").strip()
    assert wait_for(job, ("RUNNING", "FAILED"))[0] == "RUNNING", done.stderr
    out = tmp_path / f"fryer-{job}.out"
    until = time.monotonic() + 60
    while '"burning"' not in (out.read_text() if out.exists() else ""):
        assert time.monotonic() < until, (tmp_path / f"fryer-{job}.err").read_text()
        time.sleep(0.3)
    subprocess.run(["scancel", "--batch", "--signal=TERM", job], check=True)
    assert wait_for(job, ("COMPLETED", "FAILED", "CANCELLED")) == ("FAILED", "3:0")
    assert verdict_in(out)["verdict"] == "INCONCLUSIVE"


@pytest.mark.usefixtures("slurm")
def test_a_node_that_slurm_has_drained_does_not_hold_up_the_job_and_is_an_error(tmp_path: Path) -> None:
    subprocess.run(["scontrol", "update", "nodename=node3", "state=drain", "reason=fan"], check=True)
    done = submit(tmp_path, "--nodes", "node[2-3]", "--duration", "1s", "--json", "--no-keep")
    assert "the job does without node3 is " in done.stderr
    job = done.stdout.removeprefix("Submitted batch job ").strip()
    wait_for(job, ("COMPLETED", "FAILED"))
    verdict = verdict_in(tmp_path / f"fryer-{job}.out")
    (reason, *_) = next(node["reasons"] for node in verdict["nodes"] if node["node"] == "node3")
    assert (reason["verdict"], reason["code"]) == ("ERROR", "unreachable")
    assert f"node3 is not in Slurm job {job}" in reason["message"] or "node3 is " in reason["message"]


@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--nodes", "node[1-2]", "--partition", "nowhere"], "Slurm has no partition 'nowhere'"),
        (["--nodes", "node[1-2]", "--launcher", "ssh"], "leave it out, or name such nodes"),
        (["--nodes", "localhost"], "leave it out, or name such nodes"),
        (["--nodes", "stranger[1-2]"], "Slurm does not know stranger1"),
        (["--nodes", "node[1-2]", "--slurm-options", "--constraint=unheard"], "sbatch took no job"),
    ],
)
def test_what_can_not_be_submitted_is_wrong_usage(words: list[str], why: str, tmp_path: Path) -> None:
    done = submit(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert subprocess.run(["squeue", "--noheader"], capture_output=True, text=True, check=True).stdout == ""


def test_a_run_that_is_in_a_job_already_is_not_submitted_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [*RUN, "--nodes", "node[1-2]"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "SLURM_JOB_ID": "7"},
    )
    assert done.returncode == 2
    assert "this is Slurm job 7 already" in done.stderr


def test_the_command_asks_for_whole_nodes_and_for_a_signal_before_the_end() -> None:
    options = SlurmOptions(partition="p", qos="high", time_seconds=7200.0, extra=("--constraint=h100",))
    command = sbatch_command(options, ["n1", "n2"], 8, Path("/share/100%"))
    assert command[:3] == ["sbatch", "--parsable", "--job-name=fryer"]
    assert {"--nodelist=n1,n2", "--nodes=2", "--exclusive", "--mem=0", "--no-kill", "--gres=gpu:8"} <= set(command)
    assert {"--partition=p", "--qos=high", "--time=120", "--no-requeue", "--signal=B:TERM@90"} <= set(command)
    assert {"--output=/share/100%%/fryer-%j.out", "--error=/share/100%%/fryer-%j.err"} <= set(command)
    assert command[-1] == "--constraint=h100"
    shared = sbatch_command(SlurmOptions(is_exclusive=False), ["n1"], 8, Path("/share"))
    assert not {"--exclusive", "--mem=0"} & set(shared)


def test_words_of_the_run_reach_it_as_they_are() -> None:
    words = ["run", "--nodes", "n[1-2]", "--remote-command", "module load cuda && fryer"]
    script = batch_script(words, None, has_page=True)
    assert script.splitlines()[-1] == (
        f"exec {sys.executable} -m fryer run --nodes 'n[1-2]' --remote-command 'module load cuda && fryer'"
    )
    assert batch_script(["run"], None, has_page=False).endswith('run --report "fryer-$SLURM_JOB_ID.html"\n')
