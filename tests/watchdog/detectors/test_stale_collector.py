"""Collectors without a success."""

import pytest

from watchdog.detectors.stale_collector import Limits, detect
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.subjects import Subject

LIMITS = Limits()
DCGM = Subject("node001", "process", "collector:dcgm")


def found(make, success=None, facts=None, until=0.0):
    groups = [] if success is None else [make.rows(DCGM, success=success, until=until)]
    return list(detect(make.window(*groups, facts={DCGM: {"period_seconds": 20.0, **(facts or {})}}), LIMITS))


@pytest.mark.parametrize(("silent_seconds", "is_stale"), [(0, False), (60, False), (70, True), (500, True)])
def test_three_periods_without_a_success(make, silent_seconds, is_stale):
    stale = found(make, 1, until=silent_seconds)
    assert [(f.severity, f.code, f.since) for f in stale] == [
        (Severity.UNKNOWN, "collector_stale", make.NOW - silent_seconds)
    ] * is_stale


def test_calls_that_fail_are_no_success(make):
    (one,) = found(make, lambda age: 1 if age >= 100 else 0)
    assert one.message == "collector dcgm fails: no success for 100 s, limit 60 s; what it reads is not known"
    assert one.evidence == {"last_success_at": make.NOW - 100, "limit_seconds": 60}


def test_a_collector_that_hangs_does_not_return(make):
    (one,) = found(make, 1, until=300)
    assert one.message.startswith("collector dcgm does not return: no success for 300 s")


def test_a_short_period_has_at_least_half_a_minute(make):
    assert found(make, 1, {"period_seconds": 1.0}, until=30) == []
    assert len(found(make, 1, {"period_seconds": 1.0}, until=40)) == 1
    assert found(make, 1, {"period_seconds": 0.0}, until=30) == []


def test_one_that_never_succeeded_is_not_known_either(make):
    (one,) = found(make, 0)
    assert (one.since, one.evidence["last_success_at"]) == (make.NOW - 600, None)


def test_one_whose_calls_have_left_the_window_is_still_not_known(make):
    (one,) = found(make)
    assert one.message.startswith("collector dcgm does not return: no success in all of this window")


def test_one_that_just_started_has_its_time(make):
    assert found(make, facts={"started_at": make.NOW - 60}) == []
    assert len(found(make, facts={"started_at": make.NOW - 61})) == 1


def test_a_source_that_this_machine_does_not_have_is_not_stale(make):
    assert found(make, facts={"is_missing": True}) == []


def test_other_processes_are_not_collectors(make):
    other = Subject("node001", "process", "trainer")
    assert list(detect(make.window(make.rows(other, success=0)), LIMITS)) == []
