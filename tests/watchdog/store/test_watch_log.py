"""What was kept is found again, whole, in the order that is promised."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from watchdog.store import Cleared, Cursor, Item, Keep, Opened, PastFinding, Remembered, Store, StoredRun, WatchLog
from watchdog.store.connection import reading, writing
from watchdog.store.watch_writing import Pen
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import Incident, IncidentState, Mark
from watchdog.vocabulary.runs import Ack, Checkpoint, RunBegin, RunEnd, Step
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.signals import Signal
from watchdog.vocabulary.subjects import Subject

GPU = Subject("n1", "gpu", "GPU-a")
FINDING = Finding(
    source="thermal",
    subject=GPU,
    severity=Severity.WARN,
    code="thermal_margin",
    message="3 C left to slowdown",
    action="inspect",
    since=1.0,
    evidence={"margin_celsius": 3.0},
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path)


@pytest.fixture
def log(store: Store) -> WatchLog:
    return WatchLog(store)


def keep(log: WatchLog, *commits: Sequence[Item]) -> None:
    """Each of `commits` in a transaction of its own."""
    pen = Pen()
    for items in commits:
        with writing(log.store.engine) as connection:
            pen.write(connection, items)


def event(at: float, message: str = "m", **changes: object) -> Event:
    fields = {"kind": "xid", "subject": GPU, "at": at, "message": message, "code": 79} | changes
    return Event(**fields)  # type: ignore[arg-type]


def test_nothing_is_known_at_first(log: WatchLog) -> None:
    assert log.remembered(0.0) == Remembered()
    assert log.rows(GPU, 0.0, 9) == log.minutes(GPU, 0.0, 9) == log.events(0.0, 9) == log.steps("r", 0, 9) == []
    assert log.findings(0.0, 9) == log.incidents(0.0, 9) == log.signals(0.0, 9) == log.checkpoints("r", 9) == []
    assert log.incident("i1") == ([], [])


def test_readings_are_those_of_the_subject_from_the_instant_on(log: WatchLog) -> None:
    other = Subject("n1")
    rows = [Row(subject=GPU, at=float(at), values={"a": 1.0, "b": float(at)}) for at in range(5)]
    keep(log, [rows[0], Row(subject=other, at=0.0, values={"a": 7.0}), rows[1]], rows[2:4], rows[4:])
    assert log.rows(GPU, 0.0, 9) == rows
    assert log.rows(GPU, 1.0, 3) == rows[1:4]
    assert log.rows(other, 0.0, 9) == [Row(subject=other, at=0.0, values={"a": 7.0})]


def test_events_that_repeat_within_a_minute_are_one_with_a_count(log: WatchLog) -> None:
    first = event(10.0, line="first line", data={"pid": 4})
    keep(log, [first, event(11.0, line="another line")], [event(69.9)], [event(70.0)])
    assert log.events(0.0, 9) == [replace(first, data={"pid": 4, "count": 3, "last_at": 69.9}), event(70.0)]


@pytest.mark.parametrize(
    "change", [{"message": "other"}, {"code": 48}, {"kind": "sxid"}, {"subject": Subject("n1")}, {"action": "inspect"}]
)
def test_events_that_differ_are_each_kept(log: WatchLog, change: dict[str, object]) -> None:
    events = [event(10.0), event(11.0, **change)]
    keep(log, events)
    assert log.events(0.0, 9) == events


def test_a_burst_is_one_event_and_its_count_is_right(log: WatchLog) -> None:
    keep(log, *([event(10.0 + number / 1024) for number in range(10_000)] for _ in range(2)))
    (only,) = log.events(0.0, 9)
    assert only.data["count"] == 20_000
    assert log.remembered(0.0).xid_counts == {("GPU-a", 79): (20_000, 10.0 + 9_999 / 1024)}


def test_what_was_collapsed_by_whoever_read_it_counts_as_often(log: WatchLog) -> None:
    keep(log, [event(10.0, data={"count": 5}), event(11.0)])
    assert [each.data["count"] for each in log.events(0.0, 9)] == [6]
    assert log.remembered(0.0).xid_counts[("GPU-a", 79)] == (6, 11.0)


def test_events_come_oldest_first_from_the_instant_on(log: WatchLog) -> None:
    keep(log, [event(30.0, "c"), event(10.0, "a"), event(20.0, "b")])
    assert [each.message for each in log.events(20.0, 9)] == ["b", "c"]
    assert [each.message for each in log.events(0.0, 2)] == ["a", "b"]


def test_counts_of_codes_go_on_over_restarts(log: WatchLog) -> None:
    switch = Subject("n1", "switch", "0000:c1:00.0")
    keep(log, [event(10.0), event(500.0, kind="sxid", subject=switch, code=20034), event(11.0, kind="oom", code=None)])
    keep(log, [event(90.0)])
    remembered = log.remembered(0.0)
    assert remembered.xid_counts == {("GPU-a", 79): (2, 90.0)}
    assert remembered.sxid_counts == {("0000:c1:00.0", 20034): (1, 500.0)}


def test_a_finding_is_there_until_it_is_cleared(log: WatchLog) -> None:
    keep(log, [Opened(finding=FINDING, at=2.0)])
    assert log.remembered(0.0).findings == (Opened(finding=FINDING, at=2.0),)
    keep(log, [Cleared(key=FINDING.key, at=5.0)])
    assert log.remembered(0.0).findings == ()
    assert log.findings(0.0, 9) == [PastFinding(finding=FINDING, opened_at=2.0, cleared_at=5.0)]


def test_a_finding_that_changes_has_both_in_its_history(log: WatchLog) -> None:
    graver = replace(FINDING, severity=Severity.FAIL, message="0 C left")
    keep(log, [Opened(finding=FINDING, at=2.0)], [Opened(finding=graver, at=4.0)])
    assert log.findings(0.0, 9) == [
        PastFinding(finding=graver, opened_at=4.0, cleared_at=None),
        PastFinding(finding=FINDING, opened_at=2.0, cleared_at=4.0),
    ]
    assert log.findings(3.0, 9)[0].finding == graver
    assert len(log.findings(3.0, 9)) == 1


def test_clearing_what_is_not_there_changes_nothing(log: WatchLog) -> None:
    keep(log, [Opened(finding=FINDING, at=2.0)], [Cleared(key=("thermal", str(GPU), "other"), at=5.0)])
    assert log.remembered(0.0).findings == (Opened(finding=FINDING, at=2.0),)


def test_an_incident_keeps_its_versions_and_what_people_said(log: WatchLog, incident: Incident) -> None:
    opened = replace(incident, state=IncidentState.OPEN, acted_at=None)
    more = replace(opened, count=9, updated_at=3.0)
    mark = Mark(incident="i1", by="ada", reason="reseated", at=7.0)
    keep(log, [opened], [more], [incident], [mark])
    assert log.incidents(0.0, 9) == [incident]
    assert log.incident("i1") == ([opened, incident], [mark])
    keep(log, [replace(incident, count=99)])
    assert log.incident("i1")[0] == [opened, incident, replace(incident, count=99)]


def test_incidents_come_newest_first_and_only_open_ones_are_remembered(log: WatchLog, incident: Incident) -> None:
    incidents = [
        replace(incident, id=f"i{at}", opened_at=float(at), state=IncidentState.CLOSED if at == 2 else incident.state)
        for at in (1, 2, 3)
    ]
    keep(log, incidents)
    assert [each.id for each in log.incidents(0.0, 9)] == ["i3", "i2", "i1"]
    assert [each.id for each in log.incidents(2.0, 1)] == ["i3"]
    assert [each.id for each in log.remembered(0.0).incidents] == ["i3", "i1"]


def test_signals_come_with_what_was_done(log: WatchLog, signal: Signal) -> None:
    later = replace(signal, id="s2", created_at=50.0, expires_at=90.0)
    acks = [Ack(run="r", rank=rank, signal_id="s1", at=3.0, result="acting", detail="") for rank in (0, 1)]
    keep(log, [signal, later, *acks])
    assert log.signals(0.0, 9) == [(later, ()), (signal, tuple(acks))]
    remembered = log.remembered(60.0)
    assert (remembered.signals, remembered.acks) == ((signal, later), {"s1": tuple(acks)})
    assert log.remembered(61.0).signals == (later,)
    assert log.remembered(61.0).acks == {}


def test_steps_come_as_they_came(log: WatchLog) -> None:
    steps = [Step(run="r", rank=0, step=number, at=number + 0.5, times={"data": 0.125}) for number in (1, 2, 3, 2, 3)]
    redone = [replace(each, at=each.at + 10.0 * (index > 2)) for index, each in enumerate(steps)]
    keep(log, redone[:3], [Step(run="other", rank=0, step=1, at=1.0)], redone[3:])
    assert log.steps("r", 0, 9) == redone
    assert log.steps("r", 3, 9) == [redone[2], redone[4]]
    assert log.steps("r", 0, 2) == redone[:2]


def test_a_step_that_was_sent_twice_is_there_once(log: WatchLog) -> None:
    step = Step(run="r", rank=0, step=1, at=1.0)
    keep(log, [step, step], [step])
    assert log.steps("r", 0, 9) == [step]


def test_checkpoints_come_oldest_first(log: WatchLog) -> None:
    changes = [
        Checkpoint(run="r", rank=0, step=5, at=float(at), path="/c/5", state=state, seconds=1.5, num_bytes=7)
        for at, state in enumerate(["writing", "complete", "good"])
    ]
    keep(log, changes)
    assert log.checkpoints("r", 9) == changes
    assert log.checkpoints("r", 2) == changes[1:]


def test_ranks_begin_and_end(log: WatchLog) -> None:
    begin = RunBegin(run="r", rank=3, world_size=8, at=1.0, stage="main", resume_step=40, pid=77)
    keep(log, [begin, RunEnd(run="r", rank=3, at=9.0, reason="done"), replace(begin, at=10.0, pid=78)])
    keep(log, [RunEnd(run="r", rank=4, at=11.0, reason="killed")])
    with reading(log.store.engine) as connection:
        ranks = connection.exec_driver_sql(
            "SELECT rank, begun_at, world_size, stage, resume_step, pid, ended_at, end_reason FROM training_rank"
        ).all()
    assert [tuple(rank) for rank in ranks] == [
        (3, 1.0, 8, "main", 40, 77, 9.0, "done"),
        (3, 10.0, 8, "main", 40, 78, None, ""),
        (4, 11.0, 0, "", 0, 0, 11.0, "killed"),
    ]


def test_the_newest_value_and_cursor_count(log: WatchLog) -> None:
    keep(log, [Keep(key="book", value={"a": [1, None]}), Cursor(source="kmsg", boot_id="b1", sequence=9)])
    keep(log, [Keep(key="book", value=None), Cursor(source="kmsg", boot_id="b2", sequence=3)])
    remembered = log.remembered(0.0)
    assert remembered.values == {"book": None}
    assert remembered.cursors == {"kmsg": Cursor(source="kmsg", boot_id="b2", sequence=3)}


def test_a_baseline_is_what_the_device_last_qualified_with(log: WatchLog, run: StoredRun) -> None:
    (node,) = run.nodes
    steady = tuple(replace(each, steady_from_seconds=1.0) for each in node.measurements)
    log.store.add(replace(run, nodes=(replace(node, measurements=steady),)))
    assert log.baselines(["GPU-1a", "GPU-unknown"]) == {"GPU-1a": {"gemm bf16 flops_per_second": 7e14}}
    assert log.baselines(["GPU-1a"], is_simulated=True) == {}


def test_a_figure_that_never_became_steady_is_no_baseline(log: WatchLog, run: StoredRun) -> None:
    log.store.add(run)
    assert log.baselines(["GPU-1a"]) == {}
