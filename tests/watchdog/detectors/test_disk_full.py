"""Disks that fill."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.disk_full import Limits, detect
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.subjects import Subject

LIMITS = Limits()
DISK = Subject("node001", "disk", "/data")
TERA = 1e12
FAIL, WARN = Severity.FAIL, Severity.WARN


def found(make, free, total=10 * TERA, seconds=900):
    window = make.window(make.rows(DISK, seconds, period=30, free_bytes=free, total_bytes=total))
    return {f.code: f for f in detect(window, LIMITS)}


def grades(findings):
    return {code: f.severity for code, f in findings.items()}


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(0.06, {}), (0.05, {"disk_full": WARN}), (0.01, {"disk_full": FAIL}), (0, {"disk_full": FAIL})],
)
def test_what_is_left(make, ratio, expected):
    assert grades(found(make, ratio * 10 * TERA)) == expected


@pytest.mark.parametrize(
    ("hours", "expected"), [(25, {}), (23, {"disk_full_soon": WARN}), (0.9, {"disk_full_soon": FAIL})]
)
def test_the_hours_that_are_left_at_a_steady_pace(make, hours, expected):
    """5 TB free at the end."""
    pace = 5 * TERA / (hours * 3600)
    assert grades(found(make, lambda age: 5 * TERA + age * pace)) == expected


def test_the_figures(make):
    one = found(make, lambda age: 1.8 * TERA + age * 1e8)["disk_full_soon"]
    assert one.evidence["hours"] == pytest.approx(5.0)
    assert one.evidence["bytes_per_second"] == pytest.approx(1e8)
    assert one.message == "/data is full in 5.0 h at the present pace, 1800.0 GB are left"


def test_a_checkpoint_written_in_a_burst_is_no_leak(make):
    """500 GB within one minute, at whatever time."""
    for begun in (600, 450, 200, 30):
        assert found(make, lambda age, begun=begun: 5 * TERA - 5e11 * min(1, max(0, (begun - age) / 60))) == {}


def test_space_that_is_freed_or_kept_is_no_leak(make):
    assert found(make, 5 * TERA) == {}
    assert found(make, lambda age: 5 * TERA - age * 1e9) == {}


def test_a_line_needs_ten_minutes(make):
    assert found(make, lambda age: 1e11 + age * 1e9, total=TERA, seconds=570) == {}
    assert grades(found(make, lambda age: 1e11 + age * 1e9, total=TERA, seconds=600)) == {"disk_full_soon": FAIL}


def test_one_reading_of_a_full_disk_is_certain(make):
    window = make.window(make.rows(DISK, 0, free_bytes=0.0, total_bytes=TERA))
    assert [(f.code, f.severity) for f in detect(window, LIMITS)] == [("disk_full", FAIL)]


def test_inodes_run_out_too(make):
    window = make.window(make.rows(DISK, 60, free_inodes=3e4, total_inodes=1e6))
    (one,) = detect(window, LIMITS)
    assert (one.code, one.severity) == ("disk_inodes_full", WARN)
    assert one.message.startswith("/data has 3.0% of its inodes free, 30.0 kinodes")


def test_without_a_total_the_pace_still_tells(make):
    window = make.window(make.rows(DISK, 900, free_bytes=lambda age: 1e11 + age * 1e8))
    assert [f.code for f in detect(window, LIMITS)] == ["disk_full_soon"]


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1e9), st.floats(0, 1e9))
def test_less_space_and_a_faster_pace_are_never_milder(make, one, other, pace, other_pace):
    def severity(ratio, pace):
        return max((f.severity for f in found(make, lambda age: ratio * TERA + age * pace, TERA).values()), default=0)

    assert severity(min(one, other), pace) >= severity(max(one, other), pace)
    assert severity(one, max(pace, other_pace)) >= severity(one, min(pace, other_pace))
