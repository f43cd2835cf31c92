"""GPUs that are not there."""

import pytest

from watchdog.detectors.gpu_missing import Limits, detect
from watchdog.vocabulary.findings import Severity

LIMITS = Limits()
FAIL, UNKNOWN = Severity.FAIL, Severity.UNKNOWN


def found(window):
    return [(str(f.subject), f.code, f.severity) for f in detect(window, LIMITS)]


def node(make, *groups, expected=0, known=8):
    facts = {make.gpu(i): make.facts(i) for i in range(known)}
    return make.window(*groups, facts={**facts, make.NODE: {"expected_gpus": expected}})


def test_a_lost_gpu_is_certain_at_the_first_reading(make):
    window = make.window(make.rows(make.gpu(3), 0, lost=1), make.gpu_rows(0))
    assert ("node001/gpu:GPU-0003", "gpu_lost", FAIL) in found(window)


def test_a_lost_gpu_is_not_missing_too(make):
    window = node(make, make.rows(make.gpu(1), until=200, lost=1), make.gpu_rows(0), known=2)
    assert found(window) == [("node001/gpu:GPU-0001", "gpu_lost", FAIL)]


@pytest.mark.parametrize(("silent_seconds", "is_missing"), [(30, False), (40, True)])
def test_a_gpu_that_is_no_longer_read_while_others_are(make, silent_seconds, is_missing):
    window = node(make, make.gpu_rows(0), make.rows(make.gpu(1), until=silent_seconds, lost=0), known=2)
    assert found(window) == [("node001/gpu:GPU-0001", "gpu_missing", FAIL)] * is_missing


def test_the_figures(make):
    window = node(make, make.gpu_rows(0), make.rows(make.gpu(1), until=100, lost=0), known=2)
    (one,) = detect(window, LIMITS)
    assert one.message == "gpu1 gave no reading since 100 s, while 1 others did"
    assert (one.since, one.action, one.evidence) == (
        make.NOW - 100,
        "reboot_node",
        {"last_read_at": make.NOW - 100, "num_read": 1},
    )


def test_a_gpu_whose_silence_is_reported_is_not_missing(make):
    """That is nvml_unresponsive's."""
    silent = make.rows(make.gpu(1), nvml_silent_seconds=lambda age: 600 - age)
    assert found(node(make, make.gpu_rows(0), silent, known=2)) == []


def test_a_gpu_that_only_the_bus_still_shows_is_not_read(make):
    on_the_bus = make.rows(make.gpu(1), pcie_width=16, pcie_generation=1)
    assert found(node(make, make.gpu_rows(0), on_the_bus, known=2)) == [("node001/gpu:GPU-0001", "gpu_missing", FAIL)]


def test_fewer_than_the_node_must_have(make):
    window = node(make, *(make.gpu_rows(i) for i in range(7)), expected=8, known=7)
    assert found(window) == [("node001", "gpu_missing", FAIL)]
    assert detect(window, LIMITS)[0].evidence["num_gpus"] == 7
    assert found(node(make, *(make.gpu_rows(i) for i in range(8)), expected=8)) == []
    assert found(node(make, *(make.gpu_rows(i) for i in range(8)), expected=4)) == []


def test_only_what_is_read_counts_and_not_what_the_bus_reader_knows_of(make):
    """The PCIe collector gives a GPU facts and a row of its own, read or not."""
    on_the_bus = make.rows(make.gpu(7), pcie_width=16, pcie_generation=5)
    window = node(make, *(make.gpu_rows(i) for i in range(7)), on_the_bus, expected=8)
    assert found(window) == [("node001/gpu:GPU-0007", "gpu_missing", FAIL)]


@pytest.mark.parametrize(
    ("on_bus", "expected", "is_missing"), [(8, 0, True), (7, 0, False), (8, 7, False), (7, 8, True), (6, 0, False)]
)
def test_a_gpu_on_the_bus_that_nvml_does_not_show(make, on_bus, expected, is_missing):
    """Unless the owner says that it is none of this node's: the bus also shows what a virtual machine has."""
    bus = make.rows(make.NODE, gpus_on_bus=on_bus)
    window = node(make, *(make.gpu_rows(i) for i in range(7)), bus, expected=expected, known=7)
    assert found(window) == [("node001", "gpu_missing", FAIL)] * is_missing
    if is_missing:
        (one,) = detect(window, LIMITS)
        assert one.message == f"node001 has 7 GPUs and must have 8; its PCI bus shows {on_bus}"
        assert (one.evidence["num_gpus"], one.evidence["gpus_on_bus"]) == (7, on_bus)


def test_gpus_on_the_bus_of_which_none_is_read_are_not_known(make):
    window = make.window(make.rows(make.NODE, gpus_on_bus=8))
    assert found(window) == [("node001", "gpus_not_read", UNKNOWN)]
    assert found(make.window(make.rows(make.NODE, gpus_on_bus=0))) == []


def test_dcgm_as_the_primary_source_reads_a_gpu_too_and_as_a_second_opinion_it_does_not(make):
    primary = [make.rows(make.gpu(i), power_watts=690, temperature_celsius=60) for i in range(2)]
    assert found(node(make, *primary, known=2)) == []
    second = make.rows(make.gpu(1), dcgm_power_watts=690, sm_active_ratio=0.9)
    assert found(node(make, make.gpu_rows(0), second, known=2)) == [("node001/gpu:GPU-0001", "gpu_missing", FAIL)]


def test_silence_of_all_of_them_blames_none(make):
    groups = [make.rows(make.gpu(i), until=60, lost=0) for i in range(8)]
    window = node(make, *groups, expected=8)
    assert found(window) == [("node001", "gpus_not_read", UNKNOWN)]
    assert detect(window, LIMITS)[0].since == make.NOW - 60
    assert found(node(make, expected=8, known=0)) == [("node001", "gpus_not_read", UNKNOWN)]


def test_a_node_without_gpus_that_needs_none_is_well(make):
    assert (
        found(make.window(make.rows(make.NODE, memory_total_bytes=1e12), facts={make.NODE: {"expected_gpus": 0}})) == []
    )


def test_a_daemon_that_just_began_does_not_fail_what_it_has_not_read_yet(make):
    assert found(node(make, make.rows(make.gpu(0), 5, period=5, lost=0), known=2)) == []
    assert found(node(make, make.rows(make.gpu(0), 10, period=5, lost=0), known=2)) == [
        ("node001/gpu:GPU-0001", "gpu_missing", FAIL)
    ]
