"""Memory errors that are new."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.ecc import Limits, detect
from watchdog.vocabulary.findings import Severity

LIMITS = Limits()


def findings(make, **values):
    return {f.code: f for f in detect(make.node_of(2, {1: values}), LIMITS)}


def test_a_new_uncorrectable_error_fails(make):
    found = findings(make, ecc_uncorrected_total=lambda age: 5 if age <= 120 else 3)["ecc_uncorrected"]
    assert (found.severity, found.action, found.subject) == (Severity.FAIL, "reset_gpu", make.gpu(1))
    assert (found.since, found.evidence["new"], found.evidence["total"]) == (make.NOW - 120, 2, 5)
    assert found.message.startswith("gpu1 found 2 new uncorrectable memory errors; it counts 5")


def test_errors_from_before_are_not_new(make):
    assert findings(make, ecc_uncorrected_total=7, ecc_corrected_total=1e6) == {}


def test_a_reset_of_the_counter_is_no_error_but_what_comes_after_is(make):
    assert findings(make, ecc_uncorrected_total=lambda age: 0 if age <= 300 else 9) == {}
    found = findings(make, ecc_uncorrected_total=lambda age: (1 if age <= 100 else 0) if age <= 300 else 9)
    assert found["ecc_uncorrected"].evidence["new"] == 1


@pytest.mark.parametrize(("count", "is_found"), [(9, False), (16, False), (17, True), (100, True)])
def test_a_stream_of_corrected_errors_warns(make, count, is_found):
    """In ten minutes; the limits are 100 an hour, 16.7 in this time, and ten at least."""
    found = findings(make, ecc_corrected_total=lambda age: count if age <= 60 else 0)
    assert bool(found) is is_found
    assert {f.severity for f in found.values()} <= {Severity.WARN}


def test_a_burst_in_a_young_window_is_not_a_stream(make):
    window = make.window(make.rows(make.gpu(0), 10, period=5, ecc_corrected_total=lambda age: 12 if age <= 5 else 0))
    assert list(detect(window, LIMITS)) == []


def test_sram_past_the_limit_is_due_for_replacement(make):
    found = findings(make, sram_threshold_exceeded=1)["ecc_sram_threshold"]
    assert (found.severity, found.action, found.since) == (Severity.FAIL, "contact_support", make.NOW - 600)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 300), st.integers(0, 300))
def test_more_errors_never_make_a_milder_finding(make, one, other):
    def worst(count, metric):
        found = findings(make, **{metric: lambda age: count if age <= 60 else 0})
        return max((f.severity for f in found.values()), default=Severity.OK)

    for metric in ("ecc_corrected_total", "ecc_uncorrected_total"):
        assert worst(max(one, other), metric) >= worst(min(one, other), metric)
