"""The families of codes agree with the Xid catalogue and with the detectors."""

from importlib import import_module

import pytest

from watchdog.detectors import DETECTORS
from watchdog.vocabulary.families import Family, brings_about, event_code, family_of, is_one_fault_on
from watchdog.xids import xids

NOBODY_KNOWS_MORE = {
    "thermal", "clock_limits", "thermal_margin", "power", "gpu_stuck", "baseline_drift", "dcgm_health",
}  # fmt: skip
"""Detectors of symptoms: heat, clocks, power, drift."""
SILENT = {"collector_stale"}
"""Findings about readers, which are UNKNOWN."""


@pytest.mark.parametrize("code", sorted(xids()))
def test_an_xid_is_of_the_application_exactly_where_the_catalogue_says_so(code):
    """45 is the one exception: information in the catalogue, the end of a process here."""
    is_application = family_of(f"xid_{code}") is Family.APPLICATION
    assert is_application == (xids()[code].group == "application" or code == 45)


@pytest.mark.parametrize("code", [code for code, entry in xids().items() if entry.group == "nvlink"])
def test_an_xid_of_nvlink_is_a_link_fault(code):
    assert family_of(f"xid_{code}") is Family.LINK


@pytest.mark.parametrize(
    "code", [code for code, entry in xids().items() if entry.severity == "fatal" and entry.group != "application"]
)
def test_no_fatal_xid_is_a_mere_symptom(code):
    assert family_of(f"xid_{code}") in (Family.GONE, Family.MEMORY, Family.DRIVER, Family.LINK)


@pytest.mark.parametrize("name", sorted(set(DETECTORS) - NOBODY_KNOWS_MORE))
def test_the_codes_of_every_detector_have_a_family(name):
    codes = import_module(DETECTORS[name].detect.__module__).CODES
    without = [code for code in codes if family_of(code) is Family.SYMPTOM]
    assert [code for code in without if code not in SILENT and not code.startswith("xid_")] == []


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        ("ghes", Family.HOST), ("raid", Family.HOST), ("nfs", Family.HOST), ("file_max", Family.HOST),
        ("panic", Family.HOST), ("netdev", Family.NIC), ("segfault", Family.APPLICATION),
        ("peermem", Family.APPLICATION), ("nvrm", Family.DRIVER), ("aer", Family.BUS), ("oom", Family.KILL),
    ],
)  # fmt: skip
def test_every_family_of_kernel_lines_is_of_the_part_that_it_tells_of(kind, family):
    """Peer memory that was freed in a context that is gone: a program ended, and no hardware did."""
    assert family_of(event_code(kind, None)) is family


def test_events_and_findings_write_codes_alike():
    assert [event_code("xid", 79), event_code("aer", None)] == ["xid_79", "aer"]


def test_a_fallen_gpu_brings_about_switch_errors_and_dead_programs_and_neither_brings_it_about():
    assert brings_about(family_of("xid_79"), family_of("sxid_20034"))
    assert brings_about(family_of("sxid_20034"), family_of("xid_45"))
    assert not brings_about(family_of("xid_45"), family_of("xid_79"))
    assert not brings_about(family_of("xid_48"), family_of("ecc_uncorrected"))


def test_on_one_gpu_a_hot_chip_and_a_crashed_program_are_two_faults():
    assert is_one_fault_on("gpu", family_of("thermal_margin"), family_of("power_brake"))
    assert not is_one_fault_on("gpu", family_of("thermal_margin"), family_of("xid_13"))
    assert not is_one_fault_on("node", family_of("disk_full"), family_of("clock_skew"))
