"""Incidents from findings and events: merging, opening, clearing, coming back."""

import json
from dataclasses import replace

import pytest

from watchdog.incidents import Book, IncidentLimits, act, from_json, mark_healthy, to_json, update
from watchdog.vocabulary.errors import StoreError, UsageError
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import IncidentState
from watchdog.vocabulary.samples import Event
from watchdog.vocabulary.subjects import Subject

LIMITS = IncidentLimits()
NODE = Subject("node1")
DAY = 86400.0


def gpu(index: int) -> Subject:
    return Subject("node1", "gpu", f"GPU-{index}")


def switch(index: int) -> Subject:
    return Subject("node1", "switch", str(index))


def xid(code: int, at: float, subject: Subject | None = None, **more: object) -> Event:
    return Event(kind="xid", subject=subject or gpu(0), at=at, code=code, line=f"NVRM: Xid {code}", **more)


def found(code: str, subject: Subject | None = None, severity: Severity = Severity.FAIL, **more: object) -> Finding:
    given = {"source": "xid", "message": f"{code} seen", "since": 0.0, **more}
    return Finding(subject=subject or gpu(0), severity=severity, code=code, **given)


def after(book: Book, now: float, *findings: Finding, events: tuple[Event, ...] = (), **more: object) -> Book:
    return update(book, findings=findings, events=events, now=now, limits=LIMITS, **more)[0]


def quiet(book: Book, begin: float, seconds: float, **more: object) -> Book:
    for step in range(int(seconds / 5) + 1):
        book = after(book, begin + 5 * step, **more)
    return book


FALLEN = found("xid_79", action="reboot_node", since=100.0)


def test_the_cascade_of_12_seconds_is_one_incident_with_the_fallen_gpu_as_root():
    """gpud sxid/README.md: Xid 79, then 12 s later SXid 20034 on three switches, then 45 on the peers."""
    events = (
        Event(kind="aer", subject=NODE, at=99.9, severity="fatal", data={"label": "aer_fatal"}),
        xid(79, 100.0, gpu(4), action="reboot_node"),
        *(Event(kind="sxid", subject=switch(i), at=112.0 + i / 100, code=20034) for i in range(3)),
        *(xid(45, 112.4 + i / 10, gpu(i), data={"previous_xid": 79}) for i in (0, 1, 2, 3, 5, 6, 7)),
    )
    book = Book()
    findings: list[Finding] = []
    for event in events:
        if event.code == 79:
            findings.append(replace(FALLEN, subject=gpu(4)))
        if event.code == 20034:
            findings.append(found("sxid_20034", event.subject, source="sxid", action="reset_gpu", since=event.at))
        book = after(book, event.at, *findings, events=(event,))

    (incident,) = book.incidents
    assert (incident.root, incident.root_code, incident.action) == (gpu(4), "xid_79", "reboot_node")
    assert incident.severity is Severity.FAIL
    assert incident.count == 12
    assert incident.codes == ("aer", "xid_79", "sxid_20034", "xid_45")
    assert set(incident.victims) == {NODE, *(switch(i) for i in range(3)), *(gpu(i) for i in (0, 1, 2, 3, 5, 6, 7))}
    assert incident.opened_at == 99.9
    assert incident.title == "xid_79 on node1/gpu:GPU-4: xid_79 seen; 11 others affected"


@pytest.mark.parametrize(
    ("of_root", "of_victim", "expected"),
    [
        ("reboot_node", "inspect", "reboot_node"),
        ("reboot_node", "contact_support", "reboot_node"),
        ("none", "inspect", "inspect"),
        ("none", "none", "none"),
    ],
)
def test_the_repair_is_the_roots_and_a_victims_where_the_root_asks_for_none(of_root, of_victim, expected):
    """The port's AER comes with every GPU that falls off the bus, and its `inspect` is no repair of the GPU."""
    aer = found("aer", NODE, source="kernel_events", action=of_victim, since=99.9)
    book = after(Book(), 100.0, replace(FALLEN, action=of_root), aer, events=(xid(79, 100.0),))
    (incident,) = book.incidents
    assert (incident.root_code, incident.action) == ("xid_79", expected)


def test_a_victim_that_fails_outranks_a_root_that_is_only_a_warning():
    """A row to be remapped is the root of what its GPU shows later; firmware that stopped needs more than a reset."""
    pending = found("row_remap_pending", severity=Severity.WARN, action="reset_gpu", since=100.0)
    stopped = found("xid_119", action="reboot_node", since=101.0)
    book = Book()
    for at in (100.0, 106.0, 112.0):
        book = after(book, at, pending, stopped)
    (incident,) = book.incidents
    assert (incident.root_code, incident.action) == ("row_remap_pending", "reboot_node")


def test_a_reset_of_the_gpu_is_the_repair_and_a_fault_after_it_is_a_new_one():
    contained = found("xid_95", action="reset_gpu", since=100.0)
    book = after(Book(), 100.0, contained, events=(xid(95, 100.0),))
    elsewhere = Event(kind="gpu_reset", subject=gpu(1), at=150.0)
    assert after(book, 150.0, contained, events=(elsewhere,)).open[0].state is IncidentState.OPEN
    book = after(book, 150.0, contained, events=(Event(kind="gpu_reset", subject=gpu(0), at=150.0),))
    assert (book.open[0].state, book.open[0].acted_at) == (IncidentState.ACTED, 150.0)
    again = after(book, 200.0, replace(contained, since=200.0), events=(xid(95, 200.0),))
    (new, old) = again.incidents
    assert (old.state, old.closed_because) == (IncidentState.CLOSED, "came back after gpu reset")
    assert (new.state, new.previous, new.action) == (IncidentState.OPEN, old.id, "inspect")


def test_a_629_fold_application_storm_is_one_incident():
    events = tuple(xid(13, 100 + i / 20, gpu(i % 8)) for i in range(629))
    findings = [found("xid_13", gpu(i), Severity.WARN, action="restart_app", since=100.0) for i in range(8)]
    book = after(Book(), 132.0, *findings, events=events)
    (incident,) = book.incidents
    assert (incident.count, incident.severity, incident.action) == (629, Severity.WARN, "restart_app")
    assert (incident.root_code, len(incident.victims)) == ("xid_13", 7)


def test_a_quarter_of_a_million_equal_events_are_one_incident_with_bounded_evidence():
    events = [xid(95, 100 + i / 10_000) for i in range(250_000)]
    book = after(Book(), 125.0, found("xid_95", action="reset_gpu", since=100.0), events=tuple(events))
    (incident,) = book.incidents
    assert incident.count == 250_000
    assert [(one["type"], one["at"]) for one in incident.evidence] == [
        ("event", 100.0),
        ("finding", 100.0),
        ("event", events[-1].at),
    ]
    assert len(json.dumps(to_json(book))) < 10_000


def test_an_event_that_stands_for_many_lines_counts_as_many():
    storm = xid(13, 100.0, data={"count": 629, "last_at": 131.0})
    book = after(Book(), 131.0, found("xid_13", severity=Severity.WARN, since=100.0), events=(storm, xid(13, 131.5)))
    assert (book.open[0].count, book.open[0].updated_at) == (630, 131.5)
    loose = after(Book(), 131.0, events=(storm,))
    assert after(loose, 131.0 + LIMITS.loose_seconds).num_unclaimed == 0
    assert after(loose, 131.1 + LIMITS.loose_seconds).num_unclaimed == 629


def test_more_different_events_than_there_is_room_for_are_counted_and_the_failure_still_opens():
    flood = tuple(Event(kind=f"odd{i}", subject=NODE, at=100 + i / 1000) for i in range(1000))
    book = after(Book(), 101.0, FALLEN, events=(*flood, xid(79, 101.0)))
    assert len(book.tallies) == LIMITS.most_tallies + 1
    assert sum(tally.num_events for tally in book.tallies.values()) + book.num_unclaimed == 1001
    assert [incident.root_code for incident in book.open] == ["xid_79"]


def test_ecc_on_two_gpus_at_once_is_two_incidents():
    both = [found("xid_48", gpu(i), action="reset_gpu", since=100.0 + i) for i in (0, 1)]
    book = after(Book(), 102.0, *both, events=(xid(48, 100.0, gpu(0)), xid(48, 101.0, gpu(1))))
    assert [incident.root for incident in book.open] == [gpu(1), gpu(0)]


def test_an_application_error_long_before_a_fallen_gpu_stays_its_own_incident():
    app = found("xid_31", gpu(3), Severity.WARN, action="restart_app", since=50.0)
    book = after(Book(), 51.0, app, events=(xid(31, 50.0, gpu(3)),))
    book = after(book, 101.0, app, FALLEN, events=(xid(79, 100.0),))
    assert [(incident.root_code, incident.victims) for incident in book.open] == [("xid_79", ()), ("xid_31", ())]


def test_an_application_error_read_before_its_cause_joins_it_and_keeps_the_older_incident():
    app = found("xid_45", gpu(3), Severity.WARN, since=100.5)
    book, changes = update(Book(), findings=[app], events=[xid(45, 100.5, gpu(3))], now=101.0, limits=LIMITS)
    first = changes[0].incident
    book, changes = update(book, findings=[app, FALLEN], events=[xid(79, 100.0)], now=101.5, limits=LIMITS)
    (incident,) = book.incidents
    assert (incident.id, incident.root_code, incident.victims) == (first.id, "xid_79", (gpu(3),))
    assert [change.kind for change in changes] == ["updated"]


def test_a_cause_that_two_incidents_hang_under_merges_them_and_keeps_both_on_record():
    link = found("xid_74", gpu(1), action="reset_gpu", since=100.0)
    silent = found("nvml_unresponsive", gpu(2), source="nvml", since=101.0)
    book = after(Book(), 101.0, link, silent)
    assert len(book.open) == 2
    book, changes = update(book, findings=[link, silent, FALLEN], events=[xid(79, 99.5)], now=102.0, limits=LIMITS)
    assert [change.kind for change in changes] == ["merged", "updated"]
    assert [incident.root_code for incident in book.open] == ["xid_79"]
    assert book.recent[0].closed_because == f"merged into {book.open[0].id}"


def test_a_line_that_names_its_cause_joins_it_after_the_window():
    events = (xid(149, 100.0, gpu(1)), xid(45, 140.0, gpu(2), data={"previous_xid": 149}))
    book = after(Book(), 141.0, found("xid_149", gpu(1), action="reset_gpu", since=100.0), events=events)
    assert book.open[0].victims == (gpu(2),)


def test_events_without_a_finding_open_nothing_and_stay_counted():
    book = after(Book(), 100.0, events=(xid(45, 99.0), xid(45, 99.5)))
    assert book.incidents == ()
    book = after(book, 100.0 + LIMITS.loose_seconds + 1)
    assert (dict(book.tallies), book.num_unclaimed) == ({}, 2)


def test_a_warning_opens_after_three_judgements_over_ten_seconds_and_not_after_a_burst_of_them():
    warm = found("thermal_margin", severity=Severity.WARN, source="thermal", since=90.0)
    book = Book()
    for now in (100.0, 100.1, 100.2, 100.3):
        book = after(book, now, warm)
    assert book.open == ()
    assert [incident.root_code for incident in after(book, 110.0, warm).open] == ["thermal_margin"]


def test_what_the_kernel_printed_opens_at_once():
    line = Event(kind="nvme", subject=Subject("node1", "disk", "nvme4"), at=100.0)
    said = found("nvme", line.subject, Severity.WARN, source="kernel_events", since=100.0)
    (incident,) = after(Book(), 100.1, said, events=(line,)).open
    assert (incident.root_code, incident.codes, incident.count) == ("nvme", ("nvme",), 1)


def test_a_verdict_that_the_driver_took_back_decides_nothing():
    asks = found("recovery_action", source="recovery_action", action="drain_reset", since=100.5)
    book = after(Book(), 101.0, FALLEN, asks, events=(xid(79, 100.0),))
    assert book.open[0].action == "drain_reset"
    assert after(book, 106.0, FALLEN).open[0].action == "reboot_node"


def test_a_warning_that_comes_and_goes_opens_nothing():
    warm = found("thermal_margin", severity=Severity.WARN, source="thermal")
    book = Book()
    for now in range(100, 200, 10):
        book = after(book, float(now), *([warm] if now % 20 == 0 else []))
    assert book.incidents == ()


def test_a_warning_clears_after_a_quiet_minute_and_says_that_it_went_by_itself():
    warm = found("thermal_margin", severity=Severity.WARN, source="thermal", action="inspect")
    book = Book()
    for now in (100.0, 105.0, 110.0):
        book = after(book, now, warm)
    assert quiet(book, 115.0, 50).open != ()
    closed = quiet(book, 115.0, 60).recent[0]
    assert (closed.state, closed.closed_because) == (IncidentState.CLOSED, "went away by itself")


def test_a_fallen_gpu_is_not_over_because_the_kernel_is_silent_for_a_minute():
    book = quiet(after(Book(), 101.0, FALLEN, events=(xid(79, 100.0),)), 105.0, 600)
    assert [incident.state for incident in book.open] == [IncidentState.OPEN]
    assert quiet(book, 705.0, 3600).open == ()


def test_an_update_without_judgement_concludes_nothing_from_silence():
    book = after(Book(), 101.0, FALLEN)
    for now in range(200, 20_000, 100):
        book, changes = update(book, findings=None, events=(), now=float(now), limits=LIMITS)
        assert changes == ()
    assert len(book.open) == 1


def test_a_drained_node_is_verified_by_a_qualification_and_not_by_silence():
    book = after(Book(), 101.0, FALLEN)
    book, changes = act(book, book.open[0].id, "drain", 110.0, LIMITS)
    assert [(change.kind, change.incident.state) for change in changes] == [("acted", IncidentState.ACTED)]
    book = quiet(book, 115.0, 7200, qualified={"node1": 109.0})
    assert book.open[0].state is IncidentState.ACTED
    book = after(book, 8000.0, qualified={"node1": 7900.0})
    assert (book.open[0].state, book.open[0].verified_at) == (IncidentState.VERIFIED, 8000.0)
    book = after(book, 8060.0, qualified={"node1": 7900.0})
    assert book.recent[0].closed_because == "verified: gone, and the node passed a qualification"


def test_a_fault_that_returns_after_a_reboot_is_a_new_incident_that_names_the_old_and_asks_for_inspection():
    book = after(Book(), 101.0, FALLEN, events=(xid(79, 100.0),))
    first = book.open[0]
    book = after(book, 301.0, events=(Event(kind="boot", subject=NODE, at=300.0),))
    assert (book.open[0].state, book.open[0].acted_at) == (IncidentState.ACTED, 300.0)
    book = after(book, 400.5, replace(FALLEN, since=400.0), events=(xid(79, 400.0),))
    (again,) = book.open
    assert (again.repeats, again.previous, again.action) == (1, first.id, "inspect")
    assert again.count == 1
    assert book.recent[0].closed_because == "came back after boot"


def test_a_state_that_persists_over_a_reboot_counts_as_come_back():
    failed = found("row_remap_failed", source="remap", action="reset_gpu", since=100.0)
    book = after(Book(), 101.0, failed)
    book = after(book, 301.0, events=(Event(kind="boot", subject=NODE, at=300.0),))
    book = after(book, 305.0, replace(failed, since=304.0))
    assert (book.open[0].action, book.open[0].repeats) == ("inspect", 1)


def test_an_offender_is_forgotten_after_the_memory():
    book = after(Book(), 101.0, FALLEN, events=(xid(79, 100.0),))
    book = after(book, 103.0, events=(Event(kind="boot", subject=NODE, at=102.0),))
    book = quiet(book, 105.0, 300)
    assert [incident.state for incident in book.incidents] == [IncidentState.CLOSED]
    late = 100.0 + 8 * DAY
    again = after(book, late, replace(FALLEN, since=late)).open[0]
    assert (again.repeats, again.action) == (0, "reboot_node")


def test_an_application_error_that_repeats_never_asks_for_inspection():
    book = Book()
    for round_ in range(4):
        at = 1000.0 * round_
        app = found("xid_31", severity=Severity.FAIL, action="restart_app", since=at)
        book = after(book, at + 1, app, events=(xid(31, at),))
        book = after(book, at + 3, events=(Event(kind="boot", subject=NODE, at=at + 2),))
        book = quiet(book, at + 5, 300)
    assert [(one.repeats, one.action) for one in reversed(book.recent)] == [(i, "restart_app") for i in (3, 2, 1, 0)]


def test_the_drivers_verdict_decides_the_repair_of_what_it_follows():
    said = xid(154, 100.2, severity="critical", action="reset_gpu")
    book = after(Book(), 101.0, FALLEN, events=(xid(79, 100.0), said))
    assert (book.open[0].root_code, book.open[0].action) == ("xid_79", "reset_gpu")


def test_what_is_not_known_is_one_incident_of_the_collector_and_none_of_the_hardware():
    unknown = [found("ecc_unknown", gpu(i), Severity.UNKNOWN, source="nvml") for i in range(8)]
    book = Book()
    for now in (100.0, 105.0, 110.0):
        book = after(book, now, *unknown)
    (incident,) = book.open
    assert incident.root == Subject("node1", "process", "collector:nvml")
    assert (incident.root_code, incident.severity, incident.action) == ("unknown", Severity.UNKNOWN, "none")


def test_what_a_person_marks_healthy_is_closed_with_a_record_and_stays_closed_while_the_old_finding_stands():
    book = after(Book(), 101.0, FALLEN, events=(xid(79, 100.0),))
    book, changes = mark_healthy(book, book.open[0].id, by="ana", reason="reseated", now=110.0, limits=LIMITS)
    assert [change.kind for change in changes] == ["closed"]
    closed = changes[0].incident
    assert closed.closed_because == "marked healthy by ana: reseated"
    assert closed.evidence[-1] == {"type": "mark", "at": 110.0, "by": "ana", "reason": "reseated"}
    assert closed.count == 1
    book = after(book, 115.0, FALLEN)
    assert book.open == ()
    again = after(book, 120.5, FALLEN, events=(xid(79, 120.0),)).open[0]
    assert (again.previous, again.repeats, again.action) == (closed.id, 1, "inspect")


def test_a_mark_on_a_closed_incident_adds_a_record_and_on_an_unknown_one_is_refused():
    book = after(Book(), 101.0, FALLEN)
    identity = book.open[0].id
    for _ in range(2):
        book, changes = mark_healthy(book, identity, by="ana", reason="ok", now=110.0, limits=LIMITS)
    assert [change.kind for change in changes] == ["updated"]
    assert len(book.recent) == 1
    with pytest.raises(UsageError, match=r"'nope' is not known; known: "):
        mark_healthy(book, "nope", by="ana", reason="ok", now=110.0, limits=LIMITS)
    with pytest.raises(UsageError, match=r"'nope' is not open; there is none"):
        act(book, "nope", "drain", 110.0, LIMITS)


def test_a_book_survives_json_exactly():
    warm = found("thermal", gpu(2), Severity.WARN, source="thermal", evidence={"margin": float("nan"), "at": (1, 2.5)})
    book = after(Book(), 101.0, FALLEN, warm, events=(xid(79, 100.0), xid(13, 100.1, gpu(5), message="é")))
    book, _ = mark_healthy(book, book.open[0].id, by="ana", reason="ok", now=102.0, limits=LIMITS)
    for now in (105.0, 110.0, 115.0):
        book = after(book, now, FALLEN, warm, found("xid_48", gpu(1)))
    assert book.cases
    assert book.recent
    assert book.muted
    assert book.memory
    assert from_json(json.loads(json.dumps(to_json(book)))) == book


@pytest.mark.parametrize("document", [{}, {"schema": "fryer/incident-book", "version": 2}])
def test_another_document_is_refused(document):
    with pytest.raises(StoreError, match="not a book of incidents of version 1"):
        from_json(document)


def test_a_damaged_book_is_refused_with_the_reason():
    document = {**to_json(after(Book(), 101.0, FALLEN)), "streaks": {"x": {}}}
    with pytest.raises(StoreError, match="damaged"):
        from_json(document)


def test_old_closed_incidents_leave_the_book():
    book = after(Book(), 101.0, FALLEN)
    book, _ = mark_healthy(book, book.open[0].id, by="ana", reason="ok", now=110.0, limits=LIMITS)
    assert len(after(book, 110.0 + DAY).recent) == 1
    assert after(book, 111.0 + DAY).recent == ()
