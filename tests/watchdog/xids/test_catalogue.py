"""The catalogue: complete, in our words, and in step with the table it was made from."""

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.xids import recovery, sxid, sxids, xid, xids
from watchdog.xids.document import document
from watchdog.xids.entry import ACTIONS, CLASSES, SCOPES, SEVERITIES
from watchdog.xids.renumbered import version

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "data" / "xid_catalog.csv"
OUR_WORD = {"drain_and_inspect": "inspect"}


def shared_rows() -> list[dict[str, str]]:
    if not SHARED.exists():
        pytest.skip(f"{SHARED} is not here: captured data lies beside the repository")
    with SHARED.open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_has_every_code_of_the_research_table_and_no_other():
    codes = [row["code"] for row in shared_rows()]
    assert [code for code in codes if code.isdigit()] == [str(code) for code in xids()]
    assert [code.removeprefix("sxid:") for code in codes if code.startswith("sxid:")] == [str(code) for code in sxids()]


def test_it_agrees_with_the_research_table_in_name_severity_action_and_scope():
    for row in shared_rows():
        entry = xids()[int(row["code"])] if row["code"].isdigit() else sxids()[int(row["code"].removeprefix("sxid:"))]
        ours = (entry.mnemonic, entry.severity, entry.action, entry.scope)
        action = OUR_WORD.get(row["action"], row["action"])
        assert ours == (row["mnemonic"], row["severity"], action, row["scope"]), row["code"]


def test_it_names_the_sources_of_the_research_table():
    for row in shared_rows():
        if not row["code"].isdigit():
            entry, source = sxids()[int(row["code"].removeprefix("sxid:"))], row["source"]
            assert ("Fabric Manager guide" in entry.source) == ("Fabric Manager guide" in source), row["code"]
            assert ("own choice" in entry.source) == ("own choice" in source + row["description"]), row["code"]
        elif found := re.search(r"immediate=(\w+)", row["source"]):
            word = "none" if found[1] == "blank" else found[1]
            assert f"immediate {word}," in xids()[int(row["code"])].source, row["code"]


@pytest.mark.parametrize("entry", [*xids().values(), *sxids().values()], ids=lambda e: f"{e.family}{e.code}")
def test_every_row_is_whole_and_uses_known_words(entry):
    assert entry.severity in SEVERITIES
    assert entry.action in ACTIONS
    assert entry.scope in SCOPES
    assert entry.group in CLASSES
    assert entry.mnemonic
    assert entry.meaning
    assert entry.source
    assert entry.is_known


def test_it_holds_176_xids_and_257_sxids():
    assert (len(xids()), len(sxids())) == (176, 257)


@pytest.mark.parametrize(
    ("code", "group", "severity", "action"),
    [
        (13, "application", "warning", "restart_app"),
        (31, "application", "warning", "restart_app"),
        (43, "application", "warning", "none"),
        (45, "info", "info", "none"),
        (48, "hardware", "critical", "reset_gpu"),
        (54, "hardware", "critical", "inspect"),
        (63, "hardware", "warning", "none"),
        (74, "nvlink", "critical", "reset_gpu"),
        (79, "hardware", "fatal", "reboot_node"),
        (94, "hardware", "critical", "restart_app"),
        (95, "hardware", "fatal", "reset_gpu"),
        (119, "driver", "fatal", "reset_gpu"),
    ],
)
def test_the_codes_that_people_know(code, group, severity, action):
    entry = xid(code)
    assert (entry.group, entry.severity, entry.action) == (group, severity, action)


def test_no_error_of_an_application_is_graver_than_a_warning():
    assert {e.severity for e in xids().values() if e.group == "application"} == {"warning"}


@given(st.integers(min_value=0, max_value=10**9))
def test_a_code_that_is_not_in_it_is_kept_as_unknown(code):
    for lookup, known in ((xid, xids()), (sxid, sxids())):
        entry = lookup(code)
        if code not in known and not 28001 <= code <= 28006:
            assert not entry.is_known
            assert (entry.code, entry.mnemonic, entry.severity) == (code, "UNKNOWN", "warning")
            assert entry.action == "contact_support"


@pytest.mark.parametrize(
    ("code", "driver", "text", "means"),
    [
        (28006, "535.183.01", "", 29006),
        (28006, None, "Link 46 MC TS crumbstore MCTO (First)", 29006),
        (28006, None, "", 29006),
        (28001, "535.183.01", "", 29001),
        (28001, "550.40", "", 28001),
        (28001, "550.54.15", "", 28001),
        (28001, None, "Link 02 MC TS tag store single-bit threshold", 29001),
        (28001, None, "OSFP Thermal Warn Activated", 28001),
        (29006, "595.45.04", "", 29006),
        (29006, "535.183.01", "", 30006),
        (29001, None, "Link 02 Red TS tag store single-bit threshold", 30001),
    ],
)
def test_sxids_that_moved_at_550_40_are_found_under_the_number_of_today(code, driver, text, means):
    assert sxid(code, driver=driver, text=text).code == means


@pytest.mark.parametrize(
    ("driver", "text", "name"),
    [
        (None, "", "SILENT_RUNNING_STRESS_TEST_FAILURE"),
        ("595.45.04", "", "SILENT_RUNNING_STRESS_TEST_FAILURE"),
        ("610.12", "", "BAD_TSG"),
        (None, "BAD_TSG encountered on runlist: 0 with error code: 4", "BAD_TSG"),
    ],
)
def test_xid_51_means_something_else_from_driver_610_on(driver, text, name):
    assert xid(51, driver=driver, text=text).mnemonic == name


@pytest.mark.parametrize(
    ("entry", "is_fatal", "severity", "action"),
    [
        (sxid(20009), True, "critical", "reset_gpu"),
        (sxid(20034), False, "warning", "none"),
        (sxid(20034), None, "critical", "reset_gpu"),
        (sxid(22003), True, "fatal", "reboot_node"),
        (sxid(22013), False, "info", "none"),
        (sxid(12028), False, "critical", "restart_app"),
        (sxid(19048), False, "warning", "none"),
        (xid(145), False, "warning", "none"),
        (xid(149), True, "critical", "reset_gpu"),
    ],
)
def test_the_word_of_the_line_goes_before_the_table(entry, is_fatal, severity, action):
    judged = entry.as_printed(is_fatal)
    assert (judged.severity, judged.action) == (severity, action)


@pytest.mark.parametrize(
    ("number", "severity", "action"),
    [
        (0, "info", "none"),
        (1, "critical", "reset_gpu"),
        (2, "critical", "reboot_node"),
        (3, "critical", "drain_reset"),
        (4, "critical", "drain_reset"),
        (9, "critical", "contact_support"),
    ],
)
def test_the_number_of_a_recovery_action_decides(number, severity, action):
    assert (recovery(number).severity, recovery(number).action) == (severity, action)


@pytest.mark.parametrize(
    ("driver", "number"),
    [("570.124.06", (570, 124, 6)), ("550.40", (550, 40)), ("unknown", ()), ("", ()), ("610.x", (610,))],
)
def test_a_driver_version_is_compared_by_number(driver, number):
    assert version(driver) == number


def test_the_document_is_in_step_with_the_catalogue():
    """`python -m watchdog.xids docs/xids.md` puts it right."""
    assert (ROOT / "docs" / "xids.md").read_text(encoding="utf-8") == document()
