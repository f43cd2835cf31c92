"""However a run ends, what was measured is judged and kept, and the exit code is never that of a failed node."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FRYER = str(Path(sys.executable).with_name("fryer"))
RUN = [FRYER, "run", "--nodes", "localhost", "--simulate", "healthy", "--burns", "gemm"]


def kept(state: Path) -> list[dict[str, object]]:
    done = subprocess.run(
        [FRYER, "history", "--state", str(state), "--json"], check=True, capture_output=True, text=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def begin(state: Path, *more: str) -> subprocess.Popen[str]:
    """A run in a process group of its own that has begun to measure."""
    process = subprocess.Popen(
        [*RUN, "--duration", "600s", "--json", "--state", str(state), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["type"] == "point":
            return process
    raise AssertionError(process.communicate())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_stop_sent_to_the_whole_group_is_clean(number: signal.Signals, tmp_path: Path) -> None:
    """So do timeout(1), systemd, Slurm and a connection that drops."""
    process = begin(tmp_path)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    last = json.loads(out.splitlines()[-1])
    assert (process.returncode, last["type"], last["verdict"]) == (3, "verdict", "INCONCLUSIVE"), err
    codes = {reason["code"] for device in last["nodes"][0]["devices"] for reason in device["reasons"]}
    assert "crashed" not in codes
    assert len(kept(tmp_path)) == 1


def test_two_stops_at_once_still_judge_and_keep(tmp_path: Path) -> None:
    process = begin(tmp_path)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert json.loads(out.splitlines()[-1])["verdict"] == "INCONCLUSIVE"
    assert len(kept(tmp_path)) == 1


def test_a_stop_before_anything_is_measured_is_exit_3(tmp_path: Path) -> None:
    process = subprocess.Popen([*RUN, "--duration", "60s", "--state", str(tmp_path)], stderr=subprocess.PIPE, text=True)
    time.sleep(0.8)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "Traceback" not in err


def test_nobody_reading_the_output_ends_the_run_and_keeps_it(tmp_path: Path) -> None:
    with begin(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
    assert process.returncode == 3
    assert "the output could not be written (Broken pipe)" in err
    (run,) = kept(tmp_path)
    assert run["verdict"] == "INCONCLUSIVE"


def test_a_full_disk_under_the_output_loses_nothing_of_the_run(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*RUN, "--duration", "4s", "--json", "--state", str(tmp_path)],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert len(kept(tmp_path)) == 1


def test_faults_that_a_run_does_not_meet_are_told(tmp_path: Path) -> None:
    scenario = tmp_path / "s.toml"
    scenario.write_text(
        'seed = 1\nspeed = 5.0\n[fleet]\nnodes = "n1"\ngpus_per_node = 1\n[[fault]]\non = "n1"\nkind = "unreachable"\n'
    )
    done = subprocess.run(
        [
            FRYER,
            "run",
            "--nodes",
            "n1",
            "--simulate",
            str(scenario),
            "--burns",
            "gemm",
            "--duration",
            "3s",
            "--no-keep",
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "these faults do not concern fryer run: unreachable on n1" in done.stderr


def test_a_node_with_fewer_gpus_than_it_must_have_fails(tmp_path: Path) -> None:
    done = subprocess.run(
        [*RUN, "--duration", "4s", "--json", "--no-keep", "--expect", "9"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    last = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, last["verdict"]) == (1, "FAIL")
    assert "gpu_missing" in {reason["code"] for reason in last["nodes"][0]["reasons"]}
