"""What the kernel reported."""

import pytest

from watchdog.collectors.kmsg_rules import RULES
from watchdog.detectors.kernel_events import KINDS, Limits, detect
from watchdog.vocabulary.families import event_code
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.samples import Event
from watchdog.vocabulary.subjects import Subject

DISK = Subject("node001", "disk", "nvme0n1")


def event(make, age, severity="critical", **changes):
    """As the kernel log's reader makes it; equal lines of one look come as one event with a count."""
    fields = {"kind": "io_error", "subject": DISK, "action": "inspect", "message": "a disk could not be read"}
    data = {"label": "io_error"}
    return Event(at=make.NOW - age, severity=severity, **{**fields, "data": data, "line": "I/O error", **changes})


@pytest.mark.parametrize(
    ("word", "severity"),
    [("warning", Severity.WARN), ("critical", Severity.FAIL), ("fatal", Severity.FAIL), ("odd", Severity.WARN)],
)
def test_as_grave_as_the_reader_says(make, word, severity):
    (found,) = detect(make.window(events=[event(make, 30, word)]), Limits())
    assert (found.severity, found.action, found.code, found.since) == (severity, "inspect", "io_error", make.NOW - 30)


def test_information_gives_nothing(make):
    assert list(detect(make.window(events=[event(make, 30, "info")]), Limits())) == []


def test_repeats_are_one_finding_as_grave_as_the_gravest(make):
    events = [event(make, 90, "critical"), *(event(make, age, "warning") for age in range(80))]
    (found,) = detect(make.window(events=events), Limits())
    assert (found.severity, found.evidence["count"], found.since) == (Severity.FAIL, 81, make.NOW - 90)
    assert found.message == "a disk could not be read (nvme0n1, 81 times)"
    assert found.evidence["labels"] == ["io_error"]


def test_a_storm_in_one_event_keeps_its_count(make):
    storm = event(make, 60, data={"label": "io_error", "count": 4000, "last_at": make.NOW - 20})
    (found,) = detect(make.window(events=[storm]), Limits(repeats=4000))
    assert (found.evidence["count"], found.evidence["last_at"]) == (4000, make.NOW - 20)


def test_event_and_finding_have_one_code_so_that_they_are_one_incident(make):
    (found,) = detect(make.window(events=[event(make, 5, kind="oom", data={"label": "oom_kill"})]), Limits())
    assert found.code == event_code("oom", None) == "oom"


def test_a_noisy_host_can_be_calmed(make):
    events = [event(make, age) for age in (10, 20)]
    assert list(detect(make.window(events=events), Limits(repeats=3))) == []
    assert len(detect(make.window(events=events), Limits(repeats=2))) == 1


def test_what_is_not_the_kernels_is_left_to_others(make):
    kinds = ("xid", "sxid", "recovery", "checkpoint")
    assert list(detect(make.window(events=[event(make, 5, kind=kind) for kind in kinds]), Limits())) == []


def test_every_family_of_the_readers_rules_is_known():
    assert {rule.kind for rule in RULES} <= set(KINDS)
