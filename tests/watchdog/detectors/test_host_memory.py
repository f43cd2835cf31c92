"""Memory of the host."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.host_memory import Limits, detect
from watchdog.vocabulary.findings import Severity

LIMITS = Limits()
TERA = 1e12
FAIL, WARN = Severity.FAIL, Severity.WARN


def found(make, **values):
    window = make.window(make.rows(make.NODE, **values))
    return {f.code: f for f in detect(window, LIMITS)}


def grades(findings):
    return {code: f.severity for code, f in findings.items()}


def since(seconds, value, otherwise):
    return lambda age: value if age <= seconds else otherwise


@pytest.mark.parametrize(
    ("ratio", "seconds", "expected"),
    [
        (0.051, 600, {}),
        (0.05, 600, {"host_memory_low": WARN}),
        (0.02, 600, {"host_memory_low": FAIL}),
        (0.001, 0, {}),
        (0.001, 10, {"host_memory_low": FAIL}),
    ],
)
def test_what_is_available(make, ratio, seconds, expected):
    available = since(seconds, ratio * TERA, 0.5 * TERA)
    assert grades(found(make, memory_available_bytes=available, memory_total_bytes=TERA)) == expected


def test_the_figures(make):
    one = found(make, memory_available_bytes=1e10, memory_total_bytes=TERA)["host_memory_low"]
    assert one.message == "node001 has 1.0% of its memory available, 10.0 GB"
    assert one.evidence == {"available_bytes": 1e10, "total_bytes": TERA, "ratio": 0.01}


def test_without_a_total_nothing_can_be_said(make):
    assert found(make, memory_available_bytes=1.0) == {}


@pytest.mark.parametrize(
    ("some", "full", "seconds", "expected"),
    [
        (0.19, 0.1, 600, {}),
        (0.2, 0.1, 20, {}),
        (0.2, 0.1, 30, {"host_memory_pressure": WARN}),
        (0.9, 0.59, 600, {"host_memory_pressure": WARN}),
        (0.9, 0.6, 30, {"host_memory_pressure": FAIL}),
    ],
)
def test_stalls_for_memory(make, some, full, seconds, expected):
    stalls = found(
        make,
        memory_pressure_ratio=since(seconds, some, 0.0),
        memory_pressure_full_ratio=since(seconds, full, 0.0),
    )
    assert grades(stalls) == expected


@pytest.mark.parametrize(("gigabytes", "is_found"), [(0.9, False), (1.0, True)])
def test_swap_that_grows(make, gigabytes, is_found):
    swap = found(make, swap_used_bytes=lambda age: 4e9 + (gigabytes * 1e9 if age < 300 else 0))
    assert grades(swap) == ({"host_swapping": WARN} if is_found else {})


def test_swap_that_is_merely_used_is_no_fault(make):
    assert found(make, swap_used_bytes=8e9) == {}
    assert found(make, swap_used_bytes=lambda age: 8e9 if age > 100 else 0) == {}


@pytest.mark.parametrize(
    ("metric", "count", "seconds", "is_found"),
    [
        ("processes_uninterruptible", 7, 600, False),
        ("processes_uninterruptible", 8, 110, False),
        ("processes_uninterruptible", 8, 120, True),
        ("processes_stuck", 0, 600, False),
        ("processes_stuck", 1, 120, True),
    ],
)
def test_processes_that_cannot_be_ended(make, metric, count, seconds, is_found):
    stuck = found(make, **{metric: since(seconds, count, 0)})
    assert grades(stuck) == ({"host_processes_stuck": WARN} if is_found else {})


def test_the_stuck_processes_are_named(make):
    rows = make.rows(make.NODE, processes_stuck=2, processes_uninterruptible=9)
    (one,) = detect(make.window(rows, facts={make.NODE: {"stuck": ["python3 (71)", "nvidia-smi (72)"]}}), LIMITS)
    assert one.message == (
        "2 processes of node001 are in uninterruptible sleep, at least 1 for 600 s (python3 (71), nvidia-smi (72)): "
        "a driver or a disk does not answer"
    )


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 1), st.floats(0, 1))
def test_less_memory_and_more_stalls_are_never_milder(make, one, other):
    def severity(**values):
        return max((f.severity for f in found(make, **values).values()), default=Severity.OK)

    low, high = sorted((one, other))
    less = severity(memory_available_bytes=low * TERA, memory_total_bytes=TERA)
    assert less >= severity(memory_available_bytes=high * TERA, memory_total_bytes=TERA)
    for metric in ("memory_pressure_ratio", "memory_pressure_full_ratio"):
        assert severity(**{metric: high}) >= severity(**{metric: low})
