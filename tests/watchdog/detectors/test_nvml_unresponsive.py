"""Silence of the driver."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.nvml_unresponsive import Limits, detect
from watchdog.vocabulary.findings import Severity

LIMITS = Limits()
FAIL, UNKNOWN = Severity.FAIL, Severity.UNKNOWN


def severity(make, subject, seconds, age=0.0):
    found = detect(make.window(make.rows(subject, age, until=age, nvml_silent_seconds=seconds)), LIMITS)
    return found[0].severity if found else Severity.OK


@pytest.mark.parametrize(("seconds", "expected"), [(0, Severity.OK), (2.4, Severity.OK), (2.5, FAIL), (300, FAIL)])
def test_a_gpu_that_does_not_answer_fails(make, seconds, expected):
    assert severity(make, make.gpu(1), seconds) is expected


@pytest.mark.parametrize(("seconds", "expected"), [(2.4, Severity.OK), (3, UNKNOWN), (89, UNKNOWN), (90, FAIL)])
def test_a_reader_that_was_stopped_blames_no_gpu_at_first(make, seconds, expected):
    assert severity(make, make.NODE, seconds) is expected


def test_within_ten_seconds_of_the_beginning(make):
    """A look each second with a deadline of 3 s, judged each 5 s: the first report comes after 3 s, at the latest seen
    5 s later."""
    begun = 8.0
    rows = make.rows(make.gpu(1), begun - 3.0, period=1, nvml_silent_seconds=lambda age: begun - age)
    (found,) = detect(make.window(rows), LIMITS)
    assert found.since == make.NOW - begun
    assert found.message == "NVML does not answer for GPU-0001 since 8 s"
    assert found.action == "reset_gpu"


@pytest.mark.parametrize(("answered", "is_told"), [(29, True), (31, False)])
def test_an_answer_ends_it_after_a_while(make, answered, is_told):
    """A reader that is replaced at once shows its silence once or twice, between two looks of the judges."""
    silent = {0: {"nvml_silent_seconds": lambda age: 20 if age > answered else 0}}
    assert bool(detect(make.node_of(1, silent), LIMITS)) is is_told


def test_an_old_word_says_nothing_of_now(make):
    assert severity(make, make.gpu(1), 30, age=60) is FAIL
    assert severity(make, make.gpu(1), 30, age=61) is Severity.OK


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 200), st.floats(0, 200))
def test_a_longer_silence_is_never_milder(make, one, other):
    for subject in (make.gpu(0), make.NODE):
        assert severity(make, subject, max(one, other)) >= severity(make, subject, min(one, other))
