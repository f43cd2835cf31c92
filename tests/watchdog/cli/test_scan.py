"""``fryer scan`` as people and scripts see it."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from watchdog.cli.kernel_log import IncidentReplay
from watchdog.cli.scan import app
from watchdog.collectors.kmsg_rules import RULES
from watchdog.vocabulary.errors import SourceFailed, UsageError
from watchdog.vocabulary.samples import Event
from watchdog.vocabulary.subjects import Subject

DATA = Path(__file__).parents[3].parent / "shared" / "data"
CASCADE = """\
[100.0] pcieport 0000:00:02.0: AER: Uncorrected (Fatal) error received: id=0010
[100.1] NVRM: Xid (PCI:0000:91:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.
[100.1] NVRM: GPU 0000:91:00.0: GPU has fallen off the bus.
[112.0] nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48 LTSSM Fault Up
[112.0] nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Severity 1 Engine instance 48 Sub-engine instance 00
[112.1] NVRM: Xid (PCI:0000:92:00): 45, pid=77, name=python3, Ch 00000001
"""
APPLICATION = "[1.0] NVRM: Xid (PCI:0000:38:00): 13, pid=5, name=python3, Graphics Exception: ESR 0x1\n"


def data_file(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"{DATA / name} is not here: captured data lies beside the repository")
    return DATA / name


def scan(*arguments: str, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["--node", "n1", *arguments], input=text)


def documents(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def scan_text(text: str | bytes, *arguments: str) -> tuple[list[dict[str, Any]], dict[str, Any], int]:
    """(events, the document of incidents, exit code)."""
    result = scan("--kmsg", "-", "--json", *arguments, text=text)
    *events, incidents = documents(result)
    return events, incidents, result.exit_code


def test_an_event_has_the_fields_that_scripts_rely_on():
    (event,), incidents, code = scan_text(
        "NVRM: Xid (PCI:0000:3B:00): 79, pid=1, name=x, GPU has fallen off the bus.\n"
    )
    assert {key: event[key] for key in ("type", "schema", "version", "kind", "code", "pci", "severity", "action")} == {
        "type": "event",
        "schema": "fryer/scan",
        "version": 1,
        "kind": "xid",
        "code": 79,
        "pci": "0000:3b:00",
        "severity": "fatal",
        "action": "reboot_node",
    }
    assert event["line"] == "NVRM: Xid (PCI:0000:3B:00): 79, pid=1, name=x, GPU has fallen off the bus."
    assert event["data"]["pid"] == 1
    assert (incidents["type"], incidents["schema"], incidents["version"]) == ("incidents", "fryer/scan", 1)
    assert code == 1


def test_an_event_without_number_and_address_has_null_there():
    (event,), _, code = scan_text("INFO: task jfsmount:136986 blocked for more than 120 seconds.\n")
    assert (event["kind"], event["code"], event["pci"], event["at"]) == ("hung_task", None, None, None)
    assert code == 0


def test_the_labelled_lines_give_their_labels_and_nothing_else():
    rows = [row.split("\t") for row in data_file("kmsg_samples.tsv").read_text().splitlines() if row[0] != "#"]
    expected = {
        line.rstrip(): label
        for line, label, *_ in rows
        if not (label.startswith("benign") or ":detail" in label or ":part" in label)
    }
    for line, label in expected.items():
        (event,), _, _ = scan_text(line + "\n")
        family, *rest = label.split(":")
        assert event["label"] == family, line
        assert event["line"].rstrip() == line
        if family in ("xid", "sxid"):
            assert (event["kind"], event["code"]) == (family, int(rest[0]))
    others = [line for line, *_ in rows if line.rstrip() not in expected]
    events, _, code = scan_text("".join(f"{line}\n" for line in others if ":part" not in line))
    assert [event["line"] for event in events if "fallen off" not in event["line"]] == []
    assert code in (0, 1)


@pytest.mark.parametrize(
    ("name", "counts", "code", "roots"),
    [
        ("gpud_query_log_tail_dmesg.0.log.txt", {48: 1, 63: 1, 94: 9}, 1, ["xid_48"]),
        ("gpud_dmesg_dmesg.decode.iso.log.0.txt", {13: 629, 43: 7}, 0, ["xid_13"]),
    ],
)
def test_whole_logs_give_known_counts_and_one_incident(name, counts, code, roots):
    """A GPU with a bad row is one incident; an application's storm is one too, and no failure."""
    result = scan("--kmsg", str(data_file(f"kernel_logs/{name}")), "--json")
    *events, last = documents(result)
    assert Counter(event["code"] for event in events if event["kind"] == "xid") == counts
    assert [incident["root_code"] for incident in last["incidents"]] == roots
    assert result.exit_code == code


def test_a_cascade_is_one_incident_with_its_root_and_victims():
    events, last, code = scan_text(CASCADE)
    assert [event["kind"] for event in events] == ["aer", "xid", "nvrm", "sxid", "xid"]
    (incident,) = last["incidents"]
    assert (incident["root_code"], incident["root"], incident["action"]) == (
        "xid_79",
        "n1/gpu:0000:91:00",
        "reboot_node",
    )
    assert set(incident["victims"]) >= {"n1/switch:0000:06:00", "n1/gpu:0000:92:00"}
    assert code == 1


def test_faults_an_hour_apart_are_incidents_of_their_own():
    line = "NVRM: Xid (PCI:0000:3b:00): 95, pid=1, name=x, Uncontained: FBHUB. RST: Yes, D-RST: No"
    _, last, _ = scan_text(f"[100.0] {line}\n[90000.0] {line}\n")
    assert [incident["count"] for incident in last["incidents"]] == [1, 1]


def test_the_kind_of_a_recovery_is_that_of_its_line():
    text = "NVRM: Xid (PCI:0009:01:00): 154, GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)\n"
    (event,), last, code = scan_text(text)
    assert (event["kind"], event["code"], event["action"]) == ("xid", 154, "drain_reset")
    assert event["data"]["recovery_to"] == 4
    assert [incident["action"] for incident in last["incidents"]] == ["drain_reset"]
    assert code == 1


def test_the_driver_of_the_command_line_tells_numbers_apart():
    line = "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28001, Non-fatal, Link 46 x\n"
    assert scan_text(line, "--driver", "535.183.01")[0][0]["data"]["current_code"] == 29001
    assert "current_code" not in scan_text(line, "--driver", "570.124.06")[0][0]["data"]


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [
        ("[1.0] usb 1-1: new device\n", (), 0),
        (APPLICATION, (), 0),
        (APPLICATION, ("--strict",), 1),
        (CASCADE, (), 1),
        ("", (), 3),
    ],
    ids=["nothing", "warning", "warning strictly", "fatal", "empty"],
)
@pytest.mark.parametrize("output", [(), ("--json",)], ids=["table", "json"])
def test_the_exit_code_tells_what_was_found(text, arguments, code, output):
    assert scan("--kmsg", "-", *arguments, *output, text=text).exit_code == code


def test_a_log_that_is_not_there_is_wrong_usage(tmp_path: Path):
    for path in (tmp_path / "nothing", tmp_path):
        assert isinstance(scan("--kmsg", str(path)).exception, UsageError)


def test_a_log_that_breaks_while_it_is_read_says_so():
    """/proc/self/mem is a file that opens well and reads badly."""
    assert isinstance(scan("--kmsg", "/proc/self/mem").exception, SourceFailed)


def test_bytes_that_are_no_text_and_lines_without_end_are_read_over():
    events, last, _ = scan_text(b"\xff\xfe\x00\n" + b"x" * 300_000 + b"\n" + APPLICATION.encode())
    assert [event["code"] for event in events] == [13]
    assert last["num_lines"] == 3


def test_a_person_reads_a_table_with_one_row_for_equal_events():
    result = scan("--kmsg", "-", text=CASCADE + CASCADE.replace("[1", "[2"))
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["boot+100.100s", "fatal", "xid", "79", "n1/gpu:0000:91:00", "2", "reboot_node"] in [row[:7] for row in rows]
    assert "incident" in result.stdout


def test_a_log_can_t_send_control_characters_to_the_terminal():
    text = "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, name=\x1b[2Jevil, GPU \x1b]0;x\x07 gone\n"
    assert "\x1b" not in scan("--kmsg", "-", text=text).stdout


def test_the_kinds_that_the_page_for_scripts_names_are_those_there_are():
    page = (Path(__file__).parents[3] / "docs" / "json.md").read_text()
    named = page.split("`kind` (`")[1].split("`")[0].split()
    assert set(named) == {"xid", "sxid"} | {rule.kind for rule in RULES}


def test_nothing_to_report_is_said():
    assert scan("--kmsg", "-", text="a\nb\n").stdout == "2 lines, nothing to report\n"


def test_the_command_is_found_by_fryer_and_reads_stdin():
    done = subprocess.run(
        [sys.executable, "-m", "fryer", "scan", "--kmsg", "-", "--json"],
        input=CASCADE,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["event"] * 5 + ["incidents"]
    missing = subprocess.run(
        [sys.executable, "-m", "fryer", "scan", "--kmsg", "/nowhere"], capture_output=True, text=True, check=False
    )
    assert missing.returncode == 2
    assert missing.stderr.startswith("fryer: --kmsg: /nowhere does not exist")


def test_the_kernel_s_own_ring_is_read_once_and_does_not_wait():
    if not os.access("/dev/kmsg", os.R_OK):
        if os.environ.get("CI") == "true":
            pytest.fail("/dev/kmsg can't be read")
        pytest.skip("/dev/kmsg can't be read here")
    result = scan("--kmsg", "/dev/kmsg", "--json")
    assert result.exit_code in (0, 1)
    assert documents(result)[-1]["num_lines"] > 0


def test_a_storm_over_many_steps_is_one_incident_and_no_event_is_lost():
    replay = IncidentReplay()
    for number in range(20_000):
        replay.add(
            Event(
                kind="xid", subject=Subject("n1", "gpu", "g"), at=number / 1000, code=79, severity="fatal", action="x"
            )
        )
    (incident,) = replay.finish()
    assert incident.count == 20_000
