"""``fryer scan`` of a node: one look, no daemon."""

import json
import os
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest
from commanded import fryer

FLEET = """
description = "Eight GPUs, one fault"
seed = 7
speed = 1.0
[fleet]
nodes = "node001"
part = "H100-SXM5-80GB"
gpus_per_node = 8
"""
LINE = "NVRM: Xid (PCI:0000:91:00): 79, pid=1, name=x, GPU has fallen off the bus.\n"


def scan(*arguments: object) -> tuple[list[dict[str, Any]], dict[str, Any], int]:
    """(findings, the document of incidents, exit code)."""
    done = fryer("scan", "--json", *arguments)
    *findings, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert [finding["type"] for finding in findings] == ["finding"] * len(findings)
    assert last["type"] == "incidents"
    return findings, last, done.returncode


def config(folder: Path, text: str) -> Path:
    """A settings file."""
    file = folder / "fryer.toml"
    file.write_text(text)
    return file


def with_log(folder: Path, text: str) -> Path:
    """Settings whose kernel log is a file with this text."""
    (folder / "kmsg").write_text(text)
    return config(folder, f'[watchdog]\nkmsg = "{folder}/kmsg"\n')


def scenario(folder: Path, kind: str) -> Path:
    """Eight GPUs, of which the third has this fault from the start."""
    file = folder / "scenario.toml"
    file.write_text(f'{FLEET}\n[[fault]]\non = "node001/gpu2"\nkind = "{kind}"\nat = "0s"\n')
    return file


def test_healthy_gpus_give_no_finding_and_exit_0() -> None:
    findings, last, code = scan("--simulate", "healthy")
    assert (findings, code) == ([], 0)
    assert (last["schema"], last["version"], last["is_simulated"], last["node"]) == ("fryer/scan", 1, True, "node001")
    assert (last["incidents"], last["num_findings"], last["severities"]) == ([], 0, {})
    assert {one["name"] for one in last["collectors"] if not one["error"]} >= {"nvml", "host"}
    shown = fryer("scan", "--simulate", "healthy")
    assert shown.returncode == 0
    assert shown.stdout.splitlines()[-1] == "nothing to report"


def test_a_warning_exits_0_and_strictly_1() -> None:
    findings, last, code = scan("--simulate", "row_remap_pending")
    assert [(one["code"], one["severity"], one["action"]) for one in findings] == [
        ("row_remap_pending", "WARN", "reset_gpu")
    ]
    assert [one["root_code"] for one in last["incidents"]] == ["row_remap_pending"]
    assert code == 0
    assert scan("--simulate", "row_remap_pending", "--strict")[2] == 1


def test_a_lost_gpu_exits_1_and_is_shown_with_what_to_do(tmp_path: Path) -> None:
    done = fryer("scan", "--simulate", scenario(tmp_path, "lost"))
    assert done.returncode == 1
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("FAIL"))
    assert row[1] == "gpu_lost"
    assert row[3] == "reboot_node"


def test_a_gpu_that_does_not_answer_is_no_healthy_one(tmp_path: Path) -> None:
    findings, _, code = scan("--simulate", scenario(tmp_path, "hang"))
    assert "nvml_unresponsive" in {one["code"] for one in findings}
    assert code in (1, 3)


def test_a_gpu_too_few_is_missing(tmp_path: Path) -> None:
    findings, _, code = scan("--simulate", "healthy", "--config", config(tmp_path, "[watchdog]\nexpected_gpus = 9\n"))
    assert [one["severity"] for one in findings] == ["FAIL"]
    assert findings[0]["source"] == "gpu_missing"
    assert code == 1


def test_what_the_kernel_printed_lately_is_a_finding(tmp_path: Path) -> None:
    findings, last, code = scan("--simulate", "healthy", "--config", with_log(tmp_path, LINE))
    assert [(one["code"], one["action"]) for one in findings] == [("xid_79", "reboot_node")]
    assert findings[0]["evidence"]["line"] == LINE.rstrip()
    assert (last["num_events"], last["num_old_events"]) == (1, 0)
    assert code == 1


def test_a_line_about_a_gpu_that_nvml_knows_is_about_its_uuid(tmp_path: Path) -> None:
    line = LINE.replace("91:00", "1b:00")
    findings, _, _ = scan("--simulate", "healthy", "--config", with_log(tmp_path, line))
    assert findings[0]["subject"].startswith("node001/gpu:GPU-")


def test_what_the_kernel_printed_long_ago_is_counted_and_not_judged(tmp_path: Path) -> None:
    file = with_log(tmp_path, f"kern  :warn  : 2025-01-21T04:41:44,287197+00:00 {LINE}")
    findings, last, code = scan("--simulate", "healthy", "--config", file)
    assert (findings, last["num_events"], last["num_old_events"], code) == ([], 1, 1, 0)
    assert "1 older events" in fryer("scan", "--simulate", "healthy", "--config", file).stdout


def test_a_long_log_is_read_to_its_end(tmp_path: Path) -> None:
    """More lines than one call of the collector takes, and more bytes than one read."""
    filler = "usb 1-1: new high-speed device " + "x" * 300 + "\n"
    findings, last, _ = scan("--simulate", "healthy", "--config", with_log(tmp_path, filler * 9000 + LINE))
    assert [one["code"] for one in findings] == ["xid_79"]
    assert last["num_events"] == 1


def test_a_kernel_log_that_is_not_there_is_unknown_and_exits_3(tmp_path: Path) -> None:
    file = config(tmp_path, f'[watchdog]\nkmsg = "{tmp_path}/none"\n')
    findings, last, code = scan("--simulate", "healthy", "--config", file)
    assert [(one["code"], one["severity"]) for one in findings] == [("kmsg_missing", "UNKNOWN")]
    assert [one["name"] for one in last["collectors"] if one["is_missing"]] == ["storage", "kmsg"]
    assert code == 3


def test_lines_of_a_fifo_are_left_to_the_daemon_that_reads_it(tmp_path: Path) -> None:
    fifo = tmp_path / "kmsg"
    os.mkfifo(fifo)
    end = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(end, LINE.encode())
        file = config(tmp_path, f'[watchdog]\nkmsg = "{fifo}"\n')
        findings, _, code = scan("--simulate", "healthy", "--config", file)
        assert os.read(end, 4096) == LINE.encode()
    finally:
        os.close(end)
    assert [(one["code"], one["severity"]) for one in findings] == [("collector_failed", "UNKNOWN")]
    assert code == 3


def test_a_machine_without_nvml_is_unknown_never_healthy(tmp_path: Path) -> None:
    if find_library("nvidia-ml"):
        pytest.skip("this machine has NVML")
    findings, last, code = scan("--config", with_log(tmp_path, "a\n"))
    assert [one["code"] for one in findings if one["severity"] == "UNKNOWN"] == ["nvml_missing"]
    assert last["is_simulated"] is False
    assert code in (1, 3)


def test_a_collector_that_is_switched_off_is_not_called(tmp_path: Path) -> None:
    file = config(tmp_path, "[watchdog.pace.host]\nenabled = false\n")
    _, last, _ = scan("--simulate", "healthy", "--config", file)
    assert "host" not in [one["name"] for one in last["collectors"]]


@pytest.mark.parametrize("fault", ["lost", "hang"])
def test_no_process_is_left_behind(fault: str, tmp_path: Path) -> None:
    """Whoever started it is given its orphans (PR_SET_CHILD_SUBREAPER, prctl(2)), and finds none."""
    script = (
        "import ctypes, subprocess, sys, psutil\n"
        "assert ctypes.CDLL(None).prctl(36, 1) == 0\n"
        "subprocess.run([sys.executable, '-m', 'fryer', 'scan', '--simulate', sys.argv[1]], check=False)\n"
        "_, alive = psutil.wait_procs(psutil.Process().children(recursive=True), timeout=5)\n"
        "print(len(alive))"
    )
    command = [sys.executable, "-c", script, str(scenario(tmp_path, fault))]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=90)
    assert done.stdout.splitlines()[-1] == "0"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--kmsg", "-", "--simulate", "healthy"), "--simulate is for the look"),
        (("--kmsg", "-", "--config", "x"), "--config is for the look"),
        (("--driver", "570.124.06"), "--driver goes with --kmsg"),
        (("--simulate", "helthy"), "did you mean 'healthy'"),
        (("--config", "/nowhere.toml"), "/nowhere.toml"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(arguments: tuple[str, ...], words: str) -> None:
    done = fryer("scan", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


def test_all_that_is_wrong_in_the_settings_is_said(tmp_path: Path) -> None:
    done = fryer("scan", "--config", config(tmp_path, "[watchdog]\nnod = 'x'\n[watchdog.detectors.xid]\nburst = 1\n"))
    assert done.returncode == 2
    assert "did you mean 'node'" in done.stderr
    assert "2 things are wrong" in done.stderr


def test_the_page_for_scripts_names_every_key_of_the_documents() -> None:
    findings, last, _ = scan("--simulate", "row_remap_pending")
    page = (Path(__file__).parents[3] / "docs" / "json.md").read_text().split("## `fryer scan --json`")[1]
    keys = (findings[0].keys() | last.keys() | last["collectors"][0].keys()) - {"type", "schema", "version"}
    assert [key for key in sorted(keys) if f"`{key}`" not in page] == []
