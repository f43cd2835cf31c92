"""Storage against itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.storage_slow import Limits, detect
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.subjects import Subject

LIMITS = Limits()
PATH = Subject("node001", "disk", "/scratch")
FAIL, WARN = Severity.FAIL, Severity.WARN


def found(make, latency, way="read", seconds=600):
    return list(detect(make.window(make.rows(PATH, seconds, period=30, **{f"{way}_latency_seconds": latency})), LIMITS))


def recent(value, usual=0.03):
    """The three newest probes."""
    return lambda age: value if age <= 60 else usual


@pytest.mark.parametrize(
    ("latency", "severity"), [(0.2, None), (0.29, None), (0.3, WARN), (9.9, WARN), (10.0, FAIL), (300.0, FAIL)]
)
def test_ten_times_its_own_past(make, latency, severity):
    assert [f.severity for f in found(make, recent(latency))] == ([] if severity is None else [severity])


def test_a_fast_disk_may_be_ten_times_slower_and_nobody_notices(make):
    assert found(make, recent(0.24, usual=0.001)) == []
    assert [f.severity for f in found(make, recent(0.25, usual=0.001))] == [WARN]


def test_the_figures(make):
    (one,) = found(make, recent(1.5), "write")
    assert one.message == "a write probe of /scratch takes 1.5 s, 50 times its own 0.03 s"
    assert (one.since, one.evidence["usual_seconds"], one.evidence["way"]) == (make.NOW - 60, 0.03, "write")


def test_the_slowest_way_is_the_finding(make):
    ways = {
        "read_latency_seconds": recent(1.0),
        "write_latency_seconds": recent(3.0),
        "metadata_latency_seconds": recent(2.0),
    }
    (one,) = detect(make.window(make.rows(PATH, 600, period=30, **ways)), LIMITS)
    assert one.evidence["way"] == "write"


@pytest.mark.parametrize(("seconds", "is_found"), [(0, False), (9.9, False), (10, True), (400, True)])
def test_a_mount_that_hangs(make, seconds, is_found):
    window = make.window(make.rows(PATH, 0, storage_silent_seconds=seconds))
    silent = [(f.code, f.severity, f.since) for f in detect(window, LIMITS)]
    assert silent == [("storage_silent", FAIL, make.NOW - seconds)] * is_found


def test_a_probe_that_fails_twice_warns_and_says_why(make):
    facts = {PATH: {"probe_error": "No space left on device"}}
    (one,) = detect(make.window(make.rows(PATH, 30, period=30, probe_failed=1), facts=facts), LIMITS)
    assert (one.code, one.severity) == ("storage_failed", WARN)
    assert one.message.endswith("read back: No space left on device")
    assert list(detect(make.window(make.rows(PATH, 0, probe_failed=1), facts=facts), LIMITS)) == []


def test_one_slow_probe_is_a_hiccup(make):
    assert found(make, lambda age: 8.0 if age <= 30 else 0.03) != []  # two of three
    assert found(make, lambda age: 8.0 if age == 0 else 0.03) == []


def test_storage_that_is_always_slow_is_as_it_is_unless_it_hardly_answers(make):
    assert found(make, 2.0) == []
    assert [f.severity for f in found(make, 12.0)] == [FAIL]


def test_a_spell_that_fills_more_than_half_of_the_window_still_shows(make):
    assert [f.severity for f in found(make, lambda age: 2.0 if age <= 400 else 0.03)] == [WARN]


def test_a_few_probes_are_no_past(make):
    assert found(make, recent(5.0), seconds=180) == []  # seven probes: three newest, four before
    assert [f.severity for f in found(make, recent(5.0), seconds=210)] == [WARN]
    assert found(make, 20.0, seconds=30) == []


@settings(deadline=None, max_examples=50)
@given(st.floats(0.001, 30), st.floats(0.001, 30))
def test_a_longer_wait_is_never_milder(make, one, other):
    def severity(latency):
        return max((f.severity for f in found(make, recent(latency))), default=Severity.OK)

    assert severity(max(one, other)) >= severity(min(one, other))
