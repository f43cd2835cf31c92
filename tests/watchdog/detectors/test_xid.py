"""Which Xids are grave, which are an application's own, and which are victims."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.collectors.kmsg_nvidia import parse_xid
from watchdog.detectors.xid import Limits, detect
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.samples import Event
from watchdog.xids import xid

LIMITS = Limits()
FAIL, WARN = Severity.FAIL, Severity.WARN


def graded(window):
    return {(f.subject.name, f.code): (f.severity, f.action) for f in detect(window, LIMITS)}


@pytest.mark.parametrize(
    ("code", "severity", "action"),
    [
        (79, FAIL, "reboot_node"),
        (48, FAIL, "reset_gpu"),
        (64, FAIL, "reset_gpu"),
        (95, FAIL, "reset_gpu"),
        (119, FAIL, "reset_gpu"),
        (94, FAIL, "restart_app"),
        (63, WARN, "none"),
        (13, WARN, "restart_app"),
        (31, WARN, "restart_app"),
        (43, WARN, "restart_app"),
        (9999, WARN, "contact_support"),
    ],
)
def test_a_code_is_as_grave_as_the_catalogue_says(make, code, severity, action):
    window = make.node_of(1, events=[make.xid(0, code, 30)])
    assert graded(window) == {("GPU-0000", f"xid_{code}"): (severity, action)}


def test_the_finding_tells_count_times_and_line(make):
    events = [make.xid(0, 79, 60), make.xid(0, 79, 50, data={"pid": 77})]
    (found,) = detect(make.node_of(1, events=events), LIMITS)
    assert found.message == f"Xid 79 on gpu0 ({xid(79).meaning}), 2 times"
    assert (found.since, found.evidence["last_at"]) == (make.NOW - 60, make.NOW - 50)
    assert (found.evidence["pid"], found.evidence["line"]) == (77, "NVRM: Xid (PCI:0000:10:00): 79")


def test_a_storm_that_its_reader_put_into_one_event_keeps_its_count(make):
    storm = {"source": "kmsg", "count": 250_000, "last_at": make.NOW - 10}
    events = [make.xid(0, 13, 60, data=storm), make.xid(0, 13, 60, data={"source": "nvml"})]
    (found,) = detect(make.node_of(1, events=events), LIMITS)
    assert (found.evidence["count"], found.evidence["last_at"]) == (250_000, make.NOW - 10)


def test_one_error_that_two_readers_saw_counts_once(make):
    events = [make.xid(0, 79, 60, data={"source": source}) for source in ("kmsg", "nvml")]
    (found,) = detect(make.node_of(1, events=events), LIMITS)
    assert found.evidence["count"] == 1
    assert "times" not in found.message


def test_an_application_error_never_asks_for_more_than_a_restart(make):
    """Whatever an event carries: 800,000 lines of one storm were 29 faults."""
    events = [
        make.xid(0, code, age, severity="fatal", action="reboot_node") for code in (13, 31, 43, 45) for age in (5, 9)
    ]
    found = detect(make.node_of(1, events=events), LIMITS)
    assert {(f.severity, f.action) for f in found} == {(WARN, "restart_app")}
    assert len(found) == 4


def test_information_gives_nothing(make):
    assert graded(make.node_of(1, events=[make.xid(0, 14, 5), make.xid(0, 45, 5), make.sxid("1", 22013, 5)])) == {}


def test_the_drivers_verdict_is_not_an_xid_of_its_own(make):
    assert graded(make.node_of(1, events=[make.xid(0, 154, 5, severity="critical")])) == {}


def test_a_cascade_has_a_root_and_victims(make):
    events = [make.xid(1, 79, 112), make.sxid("1", 20034, 100), make.xid(0, 45, 99), make.xid(2, 45, 98)]
    window = make.node_of(3, events=events)
    assert graded(window) == {
        ("GPU-0001", "xid_79"): (FAIL, "reboot_node"),
        ("1", "sxid_20034"): (FAIL, "reset_gpu"),
        ("GPU-0000", "xid_45"): (WARN, "restart_app"),
        ("GPU-0002", "xid_45"): (WARN, "restart_app"),
    }
    victim = next(f for f in detect(window, LIMITS) if f.code == "xid_45")
    assert victim.evidence["follows"] == "sxid 20034 on 1"


def test_a_teardown_long_after_a_fault_or_after_a_mere_warning_is_no_victim(make):
    assert ("GPU-0000", "xid_45") not in graded(make.node_of(2, events=[make.xid(1, 79, 200), make.xid(0, 45, 139)]))
    assert ("GPU-0000", "xid_45") in graded(make.node_of(2, events=[make.xid(1, 79, 200), make.xid(0, 45, 140)]))
    assert ("GPU-0000", "xid_45") not in graded(make.node_of(2, events=[make.xid(1, 13, 60), make.xid(0, 45, 50)]))


@pytest.mark.parametrize(
    ("events", "is_suspect"),
    [
        ([(13, 600, 9, 1), (13, 300, 9, 1)], True),
        ([(13, 600, 9, 1), (13, 300, 9, 2)], False),
        ([(13, 600, 9, 1), (13, 500, 9, 1)], False),  # one burst
        ([(31, 600, None, None), (31, 300, None, None)], True),
        ([(31, 600, None, None), (31, 420, None, None)], False),  # exactly the burst's gap
    ],
)
def test_the_same_place_again_points_at_the_gpu_but_still_drains_nothing(make, events, is_suspect):
    made = [
        make.xid(0, code, age, data={} if gpc is None else {"gpc": gpc, "tpc": tpc}) for code, age, gpc, tpc in events
    ]
    (found,) = detect(make.node_of(2, events=made), LIMITS)
    assert ("advice" in found.evidence) is is_suspect
    assert (found.severity, found.action) == (WARN, "restart_app")


def test_page_faults_on_several_gpus_are_the_applications(make):
    events = [make.xid(i, 31, age) for i in (0, 1) for age in (600, 300)]
    assert not any("advice" in f.evidence for f in detect(make.node_of(2, events=events), LIMITS))


def events_of(make, lines):
    """The Xids of a log, as the kernel log's reader gives them, all within the last minute."""
    at = make.NOW - 60
    for line in lines:
        begin = line.find("NVRM: Xid")
        said = parse_xid(line[begin:]) if begin >= 0 else None
        if said is not None:
            yield Event(
                kind=said.kind,
                subject=make.gpu(0),
                at=at,
                code=said.code,
                severity=said.severity,
                action=said.action,
                message=said.message,
                line=line,
                data=said.data,
            )


def test_a_captured_storm_of_an_application_is_a_warning(make, captured):
    """629 Xids 13 and 7 Xids 43 of one job: no hardware, nothing to drain."""
    lines = captured("kernel_logs/gpud_dmesg_dmesg.decode.iso.log.0.txt").splitlines()
    found = {f.code: f for f in detect(make.node_of(1, events=list(events_of(make, lines))), LIMITS)}
    assert {(f.severity, f.action) for f in found.values()} == {(WARN, "restart_app")}
    assert {code: f.evidence["count"] for code, f in found.items()} == {"xid_13": 629, "xid_43": 7}


def test_a_captured_memory_fault_fails(make, captured):
    lines = captured("kernel_logs/gpud_query_log_tail_dmesg.0.log.txt").splitlines()
    found = {
        f.code: (f.severity, f.evidence["count"])
        for f in detect(make.node_of(1, events=list(events_of(make, lines))), LIMITS)
    }
    assert found == {"xid_48": (FAIL, 1), "xid_63": (WARN, 1), "xid_94": (FAIL, 9)}


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(["info", "warning", "critical", "fatal"]), st.sampled_from(["info", "warning", "critical", "fatal"])
)
def test_a_graver_line_never_makes_a_milder_finding(make, one, other):
    words = ["info", "warning", "critical", "fatal"]
    milder, graver = sorted((one, other), key=words.index)
    first = make.xid(0, 62, 100, severity="warning")

    def worst(word):
        events = [first, replace(first, at=first.at + 1, severity=word)]
        return max((f.severity for f in detect(make.node_of(1, events=events), LIMITS)), default=Severity.OK)

    assert worst(graver) >= worst(milder)
