"""Kernel lines: each labelled line as labelled, nothing else as anything, and no line that stops the reader."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.collectors.kmsg_event import KernelEvent, pci_address
from watchdog.collectors.kmsg_lines import LogReader, parse_identity, parse_text
from watchdog.collectors.kmsg_prefix import MAX_LINE_CHARACTERS, take_apart, with_year
from watchdog.collectors.kmsg_rules import RULES
from watchdog.xids.entry import ACTIONS, SEVERITIES

DATA = Path(__file__).parents[3].parent / "shared" / "data"


def data_file(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"{DATA / name} is not here: captured data lies beside the repository")
    return DATA / name


def samples() -> list[tuple[str, str, str]]:
    """(line, label, PCI address as printed or ``-``)."""
    rows = data_file("kmsg_samples.tsv").read_text(encoding="utf-8").splitlines()
    return [tuple(row.split("\t")[:3]) for row in rows if not row.startswith("#")]  # type: ignore[misc]


def parse(line: str) -> KernelEvent | None:
    return parse_text(take_apart(line).text)


def is_event(label: str) -> bool:
    return not (label.startswith("benign") or ":detail" in label or ":part" in label)


def test_every_labelled_line_is_what_its_label_says():
    wrong = []
    for line, label, _ in samples():
        event = parse(line)
        family, *rest = label.split(":")
        found = None if event is None else event.label
        if is_event(label) and (found != family or (family in ("xid", "sxid") and event.code != int(rest[0]))):
            wrong.append((label, found, line))
    assert wrong == []


def test_no_other_line_gives_an_event():
    assert [line for line, label, _ in samples() if not is_event(label) and parse(line) is not None] == []


def test_the_labels_hold_in_count():
    labels = [label for _, label, _ in samples()]
    assert len(labels) == 108
    assert sum(map(is_event, labels)) == 97
    assert sum(1 for line, label, _ in samples() if parse(line)) == 97


def test_details_of_the_labels_are_read():
    """``xid:149:fatal:link=1``, ``xid:45:cause=149``, ``xid:154:to=0x4``, ``io_error:nvme0n1`` ..."""
    for line, label, _ in samples():
        event = parse(line)
        if not is_event(label):
            continue
        for word in label.split(":")[1:]:
            key, _, value = word.partition("=")
            if word.isdigit():
                assert event.code == int(word)
            elif value:
                field = {"cause": "previous_xid", "to": "recovery_to", "synd": "syndrome"}.get(key, key)
                assert event.data[field] == int(value, 0), line
            elif word in ("fatal", "nonfatal") and "is_fatal" in event.data:
                assert event.data["is_fatal"] == (word == "fatal"), line
            elif word in ("fatal", "warning"):
                assert event.severity == word, line
            else:
                assert event.name == word, line


def test_pci_addresses_are_read_and_made_uniform():
    for line, label, printed in samples():
        event = parse(line)
        if event is not None:
            assert event.pci == (None if printed == "-" else re.sub(r"\.\d$", "", printed)), label


def test_no_labelled_line_lacks_a_severity_and_an_action_that_we_know():
    for line, label, _ in samples():
        event = parse(line)
        if event is not None:
            assert event.severity in SEVERITIES, label
            assert event.action in ACTIONS, label


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.label)
def test_every_rule_uses_known_words(rule):
    assert rule.severity in SEVERITIES
    assert rule.action in ACTIONS
    assert rule.meaning


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("kernel_logs/gpud_query_log_tail_dmesg.0.log.txt", {48: 1, 63: 1, 94: 9}),
        ("kernel_logs/gpud_dmesg_dmesg.decode.iso.log.0.txt", {13: 629, 43: 7}),
    ],
)
def test_whole_logs_give_the_counts_that_are_known(name, counts):
    lines = data_file(name).read_text(encoding="utf-8").splitlines()
    events = [event for line in lines if (event := parse(line)) is not None]
    assert Counter(event.code for event in events if event.kind == "xid") == counts
    assert {event.kind for event in events} <= {"xid", "peermem"}


def test_an_xid_tells_process_place_and_mig_instances():
    event = parse(
        "NVRM: Xid (PCI:0000:38:00 GPU-I:05 GPU-CI:02): 13, pid=7194, name=python3, "
        "Graphics SM Warp Exception on (GPC 9, TPC 1, SM 1): Out Of Range Address"
    )
    assert event.data == {
        "pid": 7194,
        "process": "python3",
        "gpu_instance": 5,
        "compute_instance": 2,
        "gpc": 9,
        "tpc": 1,
        "sm": 1,
        "group": "application",
    }
    assert event.message.startswith("Xid 13 (exception in an SM")


def test_what_the_driver_does_not_know_of_a_process_is_absent():
    event = parse("NVRM: Xid (PCI:0000:91:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.")
    assert event.data == {"group": "hardware"}


def test_an_unknown_code_is_an_event_too():
    event = parse("NVRM: Xid (PCI:0000:91:00): 987, pid=3, name=x, something new")
    assert (event.code, event.severity, event.action) == (987, "warning", "contact_support")
    assert event.data["group"] == "unknown"


@pytest.mark.parametrize(
    ("to", "severity", "action"),
    [
        ("0x0 (None)", "info", "none"),
        ("0x1 (GPU Reset Required)", "critical", "reset_gpu"),
        ("0x1 (PF FLR)", "critical", "reset_gpu"),
        ("0x2 (OS Reboot)", "critical", "reboot_node"),
        ("0x2 (Node Reboot Required)", "critical", "reboot_node"),
        ("0x4 (Drain and Reset)", "critical", "drain_reset"),
        ("0x9 (Something New)", "critical", "contact_support"),
    ],
)
def test_the_number_of_a_recovery_decides_and_not_its_words(to, severity, action):
    event = parse(f"NVRM: Xid (PCI:0009:01:00): 154, GPU recovery action changed from 0x0 (None) to {to}")
    assert (event.kind, event.code) == ("recovery", 154)
    assert (event.severity, event.action) == (severity, action)
    assert event.data["recovery_from"] == 0


def test_a_recovery_line_that_is_cut_is_still_an_event():
    event = parse("NVRM: Xid (PCI:0009:01:00): 154, GPU recovery action changed from")
    assert (event.kind, event.severity, event.action) == ("recovery", "warning", "none")
    assert "recovery_to" not in event.data


def test_an_old_number_of_an_sxid_keeps_it_and_names_the_new_one():
    event = parse("nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28006, Non-fatal, Link 46 MC TS crumbstore MCTO (First)")
    assert (event.code, event.data["current_code"]) == (28006, 29006)


def test_a_line_that_quotes_a_kernel_line_is_none():
    for line in (
        "Feb 23 03:28:16 node sudo: root : COMMAND=/usr/bin/grep 'NVRM: Xid (PCI:0000:02:00): 79, x' /var/log/syslog",
        "Feb 23 03:28:16 node monitor[12]: NVRM: Xid (PCI:0000:02:00): 79, GPU has fallen off the bus.",
        "python: NVRM: Xid (PCI:0000:02:00): 79, GPU has fallen off the bus.",
        "my Out of memory: Killed process 1 (x)",
    ):
        assert parse(line) is None


def test_a_message_over_three_lines_is_one_event_on_the_last():
    log = LogReader()
    lines = (
        "NVRM: The NVIDIA GPU 0000:18:00.0",
        "NVRM: (PCI ID: 10de:2330) installed in this system has",
        "NVRM: fallen off the bus and is not responding to commands.",
    )
    *before, event = [log.parse(line) for line in lines]
    assert before == [None, None]
    assert (event.label, event.pci, event.severity) == ("nvrm_fallen_off_bus", "0000:18:00", "fatal")
    assert log.parse(lines[2]) is None


def test_parts_far_apart_are_no_message():
    log = LogReader()
    log.parse("NVRM: The NVIDIA GPU 0000:18:00.0")
    for _ in range(20):
        log.parse("usb 1-1: new device")
    assert log.parse("NVRM: fallen off the bus and is not responding to commands.") is None


def test_the_driver_tells_which_gpu_has_which_address():
    line = "NVRM: GPU at PCI:0000:00:05: GPU-efbdfde9-5798-a6e7-4c46-12518fa15375"
    assert parse_identity(line) == ("0000:00:05", "GPU-efbdfde9-5798-a6e7-4c46-12518fa15375")
    assert parse_identity("NVRM: GPU 0000:00:05.0: RmInitAdapter failed! (0x26)") is None


def test_a_log_that_names_its_driver_and_gpus_is_read_with_them():
    log = LogReader()
    log.parse("NVRM: loading NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024")
    log.parse("NVRM: GPU at PCI:0000:00:05: GPU-efbdfde9-5798-a6e7-4c46-12518fa15375")
    event = log.parse("nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 28001, Link 46 something")
    assert (log.driver, event.data["current_code"]) == ("535.183.01", 29001)
    assert log.uuids == {"0000:00:05": "GPU-efbdfde9-5798-a6e7-4c46-12518fa15375"}


def test_an_open_module_names_its_version_too():
    log = LogReader()
    log.parse("NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  570.124.06  Release Build  (root@n)")
    assert log.driver == "570.124.06"


@pytest.mark.parametrize(
    ("printed", "uniform"),
    [("00000000:3B:00.0", "0000:3b:00"), ("0000:3b:00", "0000:3b:00"), ("00010000:e1:00.1", "10000:e1:00")],
)
def test_pci_addresses_of_every_printer_are_one(printed, uniform):
    assert pci_address(printed) == uniform


TEXT = "NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus."


@pytest.mark.parametrize(
    ("prefix", "boot", "wall"),
    [
        ("", None, None),
        ("kernel: ", None, None),
        ("[74889.644138] ", 74889.644138, None),
        ("[    2.5] ", 2.5, None),
        ("[ 130.456250] [ T1946] ", 130.45625, None),
        ("<3>[ 3098.25] ", 3098.25, None),
        ("[Fri Aug  9 13:32:56 2024] ", None, 1723210376.0),
        ("[Aug 9 13:32] ", None, None),
        ("kern  :warn  : 2025-01-21T04:41:44,250000+00:00 ", None, 1737434504.25),
        ("kern  :warn  : [   12.5] ", 12.5, None),
        ("2025-01-21T05:41:44.250000+01:00 ", None, 1737434504.25),
        ("2025-01-21T04:41:44+0000 node kernel: ", None, 1737434504.0),
        ("2025-01-21T04:41:44Z node kernel: [ 7.5] ", 7.5, 1737434504.0),
        ("11,428,2388194844,-;", 2388.194844, None),
        ("6,1,5,-,caller=T12;", 0.000005, None),
    ],
)
def test_every_style_of_stamp_is_taken_off_and_read(prefix, boot, wall):
    line = take_apart(prefix + TEXT + "\n")
    assert (line.text, line.boot_seconds, line.wall_seconds) == (TEXT, boot, wall)


def test_a_record_has_its_number():
    assert take_apart(f"11,428,2388194844,-;{TEXT}").sequence == 428


def test_a_relative_stamp_is_a_difference():
    line = take_apart("[  +0.000001] pcieport 0000:00:03.0: AER: x")
    assert (line.boot_seconds, line.delta_seconds) == (None, 0.000001)


@pytest.mark.parametrize(
    ("stamp", "before", "expected"),
    [
        ("Dec  2 11:38:47", 1733200000.0, 1733139527.0),  # read on 3 December 2024
        ("Dec  2 11:38:47", 1735800000.0, 1733139527.0),  # read on 2 January 2025
        ("Feb 29 00:00:00", 1735800000.0, 1709164800.0),  # the last leap year
    ],
)
def test_a_stamp_without_a_year_is_of_the_latest_that_fits(stamp, before, expected):
    line = take_apart(f"{stamp} node kernel: {TEXT}")
    assert line.text == TEXT
    assert line.year_is_missing
    assert with_year(line.wall_seconds, before) == expected


def test_a_date_that_is_none_is_no_stamp():
    assert take_apart("[Mon Feb 31 00:00:00 2024] x").wall_seconds is None


@given(st.text(max_size=400))
@settings(max_examples=300)
def test_no_line_raises(line):
    parse(line)
    parse_identity(take_apart(line).text)


LINES = st.sampled_from(
    [
        TEXT,
        "NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)",
        "nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48 LTSSM Fault Up",
        "python3[2536443]: segfault at 7f79 ip 00007f sp 00007f error 4 in libnccl.so.2[7f7c7ac00000+d3d3000]",
        "mlx5_core 0000:61:00.0: wait_func:1132:(pid 141181): CREATE_DCT(0x710) timeout. Will cause a leak",
        "[Mon Oct  3 13:52:42 2022] EDAC MC1: 262 CE memory read error",
        "2025-01-21T04:41:44,283575+00:00 nvme nvme4: I/O tag 22 (2016) opcode 0x2 QID 0 timeout, reset controller",
    ]
)


@given(LINES, st.integers(0, 120), st.text(max_size=20), st.integers(0, 120))
@settings(max_examples=300)
def test_no_damaged_line_raises(line, at, noise, cut):
    parse(line[:at] + noise + line[at:])
    parse(line[: len(line) - cut])


@pytest.mark.parametrize("piece", ["a", "[", "(", " ", "1", "NVRM: ", "x[1", "mlx5_core 0000:00:00.0: ", "0:", "[ 1"])
@pytest.mark.parametrize("start", ["", "NVRM: Xid (PCI:0000:3b:00): 79, pid=", "nvme nvme0: I/O ", "INFO: task "])
def test_a_line_of_any_length_costs_no_more_than_a_cut_one(start, piece):
    """What is parsed is at most `MAX_LINE_CHARACTERS` long, whatever came in."""
    line = start + piece * (100_000 // len(piece))
    assert len(take_apart(line).text) <= MAX_LINE_CHARACTERS
    event = parse(line)
    assert event is None or event.code == 79
