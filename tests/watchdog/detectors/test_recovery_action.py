"""The driver's own verdict."""

import pytest

from watchdog.detectors.recovery_action import Limits, detect
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.samples import Event


def found(window):
    return [(f.subject.name, f.severity, f.action, f.since) for f in detect(window, Limits())]


def said(make, index, age, action, to):
    return Event(
        kind="recovery",
        subject=make.gpu(index),
        at=make.NOW - age,
        code=154,
        severity="critical",
        action=action,
        message="the driver's recovery action",
        data={"recovery_to": to},
    )


@pytest.mark.parametrize(
    ("number", "action"),
    [(1, "reset_gpu"), (2, "reboot_node"), (3, "drain_reset"), (4, "drain_reset"), (77, "contact_support")],
)
def test_each_number_asks_for_its_repair(make, number, action):
    window = make.node_of(2, {1: {"recovery_action": lambda age: number if age <= 40 else 0}})
    assert found(window) == [("GPU-0001", Severity.FAIL, action, make.NOW - 40)]


def test_one_reading_is_enough_and_tells_of_faults_before_anybody_watched(make):
    window = make.window(make.rows(make.gpu(0), 0, recovery_action=2))
    assert found(window) == [("GPU-0000", Severity.FAIL, "reboot_node", make.NOW)]


def test_a_reading_that_is_well_again_ends_it(make):
    assert found(make.node_of(1, {0: {"recovery_action": lambda age: 1 if age > 0 else 0}})) == []


def test_the_kernel_line_decides_where_field_230_is_not_read(make):
    window = make.window(events=[said(make, 0, 30, "reset_gpu", 1)])
    assert found(window) == [("GPU-0000", Severity.FAIL, "reset_gpu", make.NOW - 30)]
    assert detect(window, Limits())[0].evidence == {"recovery_action": 1}


def test_a_later_reading_goes_before_an_earlier_line(make):
    """The line said reset; the GPU was reset meanwhile."""
    assert found(make.node_of(1, events=[said(make, 0, 30, "reset_gpu", 1)])) == []


def test_a_later_line_goes_before_an_earlier_reading(make):
    window = make.window(
        make.rows(make.gpu(0), 60, until=20, recovery_action=1), events=[said(make, 0, 5, "reboot_node", 2)]
    )
    assert found(window) == [("GPU-0000", Severity.FAIL, "reboot_node", make.NOW - 5)]


def test_a_line_that_says_none_asks_for_nothing(make):
    events = [said(make, 0, 30, "reset_gpu", 1), said(make, 0, 10, "none", 0)]
    assert found(make.window(events=events)) == []
