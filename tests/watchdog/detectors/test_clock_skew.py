"""Clocks that are off."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.clock_skew import Limits, detect
from watchdog.vocabulary.findings import Severity


def severity(make, offset, seconds=600):
    values = {"clock_offset_seconds": lambda age: offset if age <= seconds else 0.0}
    found = detect(make.window(make.rows(make.NODE, **values)), Limits())
    return found[0].severity if found else Severity.OK


@pytest.mark.parametrize(
    ("offset", "seconds", "expected"),
    [
        (0.049, 600, Severity.OK),
        (0.05, 600, Severity.WARN),
        (-0.05, 600, Severity.WARN),
        (3600, 50, Severity.OK),
        (3600, 60, Severity.FAIL),
        (-60, 600, Severity.FAIL),
        (59, 600, Severity.WARN),
    ],
)
def test_offset_and_time_decide(make, offset, seconds, expected):
    assert severity(make, offset, seconds) is expected


def test_the_figures(make):
    (found,) = detect(make.window(make.rows(make.NODE, clock_offset_seconds=-0.2)), Limits())
    assert found.message == "the clock of node001 is off by -0.2 s, limit 0.05 s, for 600 s: check chronyd or ntpd"
    assert found.evidence == {"offset_seconds": -0.2, "limit_seconds": 0.05, "seconds": 600}


@pytest.mark.parametrize(("step", "age", "is_found"), [(0.9, 100, False), (1.0, 100, True), (-3600, 600, True)])
def test_a_clock_that_was_set_at_once(make, step, age, is_found):
    values = {"clock_step_seconds": lambda now: step if now == age else 1e-6}
    found = detect(make.window(make.rows(make.NODE, **values)), Limits())
    assert [(f.code, f.severity, f.since) for f in found] == [
        ("clock_skew_step", Severity.WARN, make.NOW - age)
    ] * is_found


@pytest.mark.parametrize(
    ("synchronised", "error", "seconds", "is_found"),
    [(0, 16, 600, True), (0, 15, 600, False), (0, 16, 590, False), (1, 16, 600, False)],
)
def test_a_clock_that_runs_free(make, synchronised, error, seconds, is_found):
    values = {
        "clock_synchronised": lambda age: synchronised if age <= seconds else 1,
        "clock_max_error_seconds": error,
    }
    found = detect(make.window(make.rows(make.NODE, 700, **values)), Limits())
    assert [(f.code, f.severity) for f in found] == [("clock_skew_unsynchronised", Severity.WARN)] * is_found


@pytest.mark.parametrize(("seconds", "is_found"), [(600, True), (590, False)])
def test_a_chronyd_without_a_source_tells_no_error_and_is_found_all_the_same(make, seconds, is_found):
    values = {"clock_synchronised": lambda age: 0 if age <= seconds else 1}
    found = detect(make.window(make.rows(make.NODE, 700, **values)), Limits())
    assert [(f.code, f.evidence["max_error_seconds"]) for f in found] == [
        ("clock_skew_unsynchronised", None)
    ] * is_found
    if is_found:
        assert found[0].message.endswith("for 600 s; it is not known by how much it is off")


@settings(deadline=None, max_examples=50)
@given(st.floats(-400, 400), st.floats(-400, 400))
def test_farther_off_is_never_milder(make, one, other):
    near, far = sorted((one, other), key=abs)
    assert severity(make, far) >= severity(make, near)
