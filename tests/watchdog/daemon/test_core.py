"""What is read becomes findings, incidents, a signal, and what is kept; a daemon that starts goes on with it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from watchdog.collectors import Collected
from watchdog.collectors.kmsg import KmsgCollector
from watchdog.daemon.core import BOOK_KEY, POLICY_KEY, Core, CoreSettings
from watchdog.policy import PolicySettings
from watchdog.store.items import Cleared, Cursor, Keep, Opened, Remembered
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import Incident, IncidentState, Mark
from watchdog.vocabulary.runs import Ack, RunBegin, Step
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.signals import Action, Signal
from watchdog.vocabulary.subjects import Subject

NODE = Subject("n1")
NOW = 1_755_000_000.0
STORM = 250_000


def gpu(index: int) -> Subject:
    return Subject("n1", "gpu", f"GPU-{index}")


def make(remembered: Remembered | None = None, at: float = NOW, **more: object) -> Core:
    return Core(CoreSettings(node="n1", **more), remembered or Remembered(), at)  # type: ignore[arg-type]


def looked(at: float, recovery_action: float = 0.0, count: int = 8) -> Collected:
    """A look at GPUs that are well; the first may ask for a recovery."""
    values = [{"lost": 0.0, "recovery_action": recovery_action if index == 0 else 0.0} for index in range(count)]
    return Collected(
        rows=tuple(Row(subject=gpu(index), at=at, values=each) for index, each in enumerate(values)),
        facts={gpu(index): {"index": index} for index in range(count)},
    )


def fell(at: float, index: int = 0, **data: object) -> Event:
    return Event(
        kind="xid", subject=gpu(index), at=at, code=79, severity="fatal", action="reboot_node", line="79", data=data
    )


def kept(items: tuple[object, ...]) -> dict[str, object]:
    """The memories among items, as the store gives them back."""
    found = {item.key: item.value for item in items if isinstance(item, Keep)}
    read: dict[str, object] = json.loads(json.dumps(found))
    return read


def with_fallen_gpu(**more: object) -> Core:
    core = make(**more)
    core.hear([RunBegin(run="r", rank=0, world_size=8, at=NOW - 60), Step(run="r", rank=0, step=5, at=NOW - 1)])
    core.take(replace(looked(NOW), events=(fell(NOW),)))
    core.judge(NOW)
    return core


def test_before_the_first_look_nothing_is_known() -> None:
    core = make()
    assert (core.severity, core.findings, core.incidents, core.signal) == (Severity.UNKNOWN, (), (), None)
    core.take(looked(NOW))
    core.judge(NOW)
    assert (core.severity, core.findings) == (Severity.OK, ())


def test_what_is_taken_is_kept_and_a_cursor_together_with_its_events() -> None:
    core = make()
    event = fell(NOW)
    row = Row(subject=NODE, at=NOW, values={"cpu_busy_ratio": 0.5})
    items = core.take(Collected(rows=(row,), events=(event,), facts={NODE: {"a": 1}}, cursor=("kmsg", "boot", 7)))
    assert items == [row, event, Cursor(source="kmsg", boot_id="boot", sequence=7)]
    assert core.has_new_events
    assert core.facts == {NODE: {"a": 1}}
    assert core.newest(NOW) == {NODE: row}
    core.judge(NOW)
    assert not core.has_new_events


def test_gpus_are_known_by_the_addresses_that_the_kernel_prints() -> None:
    core = make()
    facts = {gpu(0): {"pci_bus_id": "0000:1B:00.0"}, gpu(1): {"pci_bus_id": ""}, NODE: {"pci_bus_id": "0000:00:00.0"}}
    core.take(Collected(facts=facts))
    assert core.uuids == {"0000:1b:00": gpu(0).name}


def test_a_finding_is_kept_when_it_comes_and_when_it_goes_and_not_between() -> None:
    core = make()
    core.take(looked(NOW, recovery_action=1.0))
    first = core.judge(NOW)
    (finding,) = core.findings
    assert (finding.code, finding.subject, finding.severity) == ("recovery_action", gpu(0), Severity.FAIL)
    assert [item for item in first.items if isinstance(item, Opened)] == [Opened(finding=finding, at=NOW)]
    core.take(looked(NOW + 5, recovery_action=1.0))
    second = core.judge(NOW + 5)
    assert [item for item in second.items if isinstance(item, Opened | Cleared)] == []
    core.take(looked(NOW + 10))
    third = core.judge(NOW + 10)
    assert [item for item in third.items if isinstance(item, Opened | Cleared)] == [
        Cleared(key=finding.key, at=NOW + 10)
    ]
    assert core.findings == ()


def test_a_finding_that_grows_graver_is_kept_again() -> None:
    core = make()
    warning = Finding(source="store", subject=NODE, severity=Severity.WARN, code="slow", message="m", since=NOW)
    core.tell("store", warning)
    core.judge(NOW)
    graver = replace(warning, severity=Severity.FAIL, since=NOW + 9)
    core.tell("store", graver)
    items = core.judge(NOW + 5).items
    assert [item for item in items if isinstance(item, Opened)] == [
        Opened(finding=replace(graver, since=NOW), at=NOW + 5)
    ]
    core.tell("store", None)
    assert [item for item in core.judge(NOW + 10).items if isinstance(item, Cleared)] == [
        Cleared(key=warning.key, at=NOW + 10)
    ]


def test_a_detector_that_breaks_is_a_finding_and_blinds_no_other() -> None:
    core = make(limits={"gpu_missing": "these are no limits"})
    core.take(replace(looked(NOW, recovery_action=1.0), events=(fell(NOW),)))
    core.judge(NOW)
    (broke,) = [finding for finding in core.findings if finding.code == "detector_broke"]
    assert (broke.source, broke.subject) == ("gpu_missing", Subject("n1", "process", "detector:gpu_missing"))
    assert (broke.severity, broke.since) == (Severity.UNKNOWN, NOW)
    assert broke.message.startswith("the detector gpu_missing broke: AttributeError: 'str' object has no attribute")
    assert [finding.code for finding in core.findings if finding.severity is Severity.FAIL] == [
        "recovery_action",
        "xid_79",
    ]


def test_by_default_a_signal_that_interferes_is_only_observed() -> None:
    core = with_fallen_gpu()
    assert core.signal is not None
    assert (core.signal.action, core.signal.is_observed_only, core.signal.run) == (Action.DRAIN, True, "r")
    assert core.signal.incident == core.incidents[0].id


def test_a_signal_that_is_allowed_is_not_merely_observed_and_is_kept_once() -> None:
    core = make(policy=PolicySettings(allow=("drain",)))
    core.hear([RunBegin(run="r", rank=0, world_size=8, at=NOW - 60)])
    core.take(replace(looked(NOW), events=(fell(NOW),)))
    first = core.judge(NOW)
    (signal,) = [item for item in first.items if isinstance(item, Signal)]
    assert (signal, signal.is_observed_only) == (core.signal, False)
    assert [item for item in core.judge(NOW + 5).items if isinstance(item, Signal)] == []
    core.hear([Ack(run="r", rank=0, signal_id=signal.id, at=NOW + 6, result="done")])
    core.judge(NOW + 10)
    assert core.signal is None


def test_an_incident_is_kept_when_it_opens_together_with_the_memory_of_it() -> None:
    core = make()
    core.take(replace(looked(NOW), events=(fell(NOW),)))
    judged = core.judge(NOW)
    (incident,) = core.incidents
    assert [change.kind for change in judged.changes] == ["opened"]
    assert [item for item in judged.items if isinstance(item, Incident)] == [incident]
    assert BOOK_KEY in kept(judged.items)
    assert core.judge(NOW + 5).changes == ()


def test_a_persons_word_closes_an_incident_and_is_kept_with_it() -> None:
    core = with_fallen_gpu()
    mark = Mark(incident=core.incidents[0].id, by="ann", reason="seated anew", at=NOW + 5)
    incident, changes, items = core.mark(mark)
    assert (incident.state, incident.closed_because) == (IncidentState.CLOSED, "marked healthy by ann: seated anew")
    assert [change.kind for change in changes] == ["closed"]
    assert items[:2] == (mark, incident)
    assert BOOK_KEY in kept(items)
    core.judge(NOW + 10)
    assert [one.state for one in core.incidents] == [IncidentState.CLOSED]
    with pytest.raises(KeyError):
        core.mark(replace(mark, incident="unknown"))


def test_events_that_an_earlier_daemon_judged_keep_their_findings_and_count_no_second_time() -> None:
    before = with_fallen_gpu()
    later = make(Remembered(values=kept(before.kept()), xid_counts=before.xid_counts), at=NOW + 30)
    later.recall([fell(NOW)])
    assert not later.has_new_events
    later.judge(NOW + 30)
    assert [finding.code for finding in later.findings] == [finding.code for finding in before.findings] == ["xid_79"]
    assert later.incidents[0].count == 1
    assert later.xid_counts == before.xid_counts


def test_a_daemon_that_starts_goes_on_with_incidents_signals_and_counts() -> None:
    core = with_fallen_gpu()
    incident, signal = core.incidents[0], core.signal
    finding = core.findings[0]
    remembered = Remembered(
        values=kept(core.kept()),
        xid_counts=core.xid_counts,
        findings=(Opened(finding=finding, at=NOW),),
    )
    later = make(remembered, at=NOW + 30)
    assert later.errors == []
    assert later.incidents == (incident,)
    assert later.findings == (finding,)
    later.hear([RunBegin(run="r", rank=0, world_size=8, at=NOW + 31), Step(run="r", rank=0, step=6, at=NOW + 32)])
    later.take(replace(looked(NOW + 35), events=(fell(NOW + 35),)))
    later.judge(NOW + 35)
    assert [one.id for one in later.incidents] == [incident.id]
    assert later.incidents[0].count == 2
    assert later.signal == signal
    assert later.xid_counts == {("GPU-0", 79): (2, NOW + 35)}


def test_a_drain_is_remembered_until_the_node_is_given_back() -> None:
    core = with_fallen_gpu()
    changes, items = core.drained(core.incidents[0].id, NOW + 5)
    assert [change.kind for change in changes] == ["acted"]
    assert core.incidents[0].state is IncidentState.ACTED
    assert kept(items).keys() == {BOOK_KEY, POLICY_KEY}
    later = make(Remembered(values=kept(core.kept())))
    assert kept(later.kept())[POLICY_KEY]["drained"].keys() == {"n1"}  # type: ignore[index]
    assert kept(later.undrained())[POLICY_KEY]["drained"] == {}  # type: ignore[index]


def test_a_memory_that_cannot_be_read_begins_anew_and_is_told() -> None:
    core = make(Remembered(values={BOOK_KEY: {"schema": "another"}, POLICY_KEY: {}}))
    assert [error.partition(" of ")[0] for error in core.errors] == ["not a book", "not a policy history"]
    assert core.incidents == ()


def test_a_storm_through_the_kernel_log_keeps_its_count_and_hides_no_other_fault(tmp_path: Path) -> None:
    """The fallen GPU's only line comes first; then eight GPUs print different lines, more than is held apart."""
    log = tmp_path / "kmsg"
    lines = (
        f"NVRM: Xid (PCI:0000:{16 + i % 8:02x}:00): 13, pid=7, name=python, Graphics Exception: ESR {i:#x}\n"
        for i in range(STORM)
    )
    with log.open("w", encoding="utf-8") as file:
        file.write("NVRM: Xid (PCI:0000:1b:00): 79, pid=7, GPU has fallen off the bus.\n")
        file.writelines(lines)
    collector, core, num_lines = KmsgCollector(log, node="n1"), make(), 0
    while num_lines <= STORM:
        collected = collector.collect(NOW)
        assert collected.events, f"the log ended after {num_lines} lines"
        num_lines += sum(int(event.data.get("count", 1)) for event in collected.events)  # type: ignore[call-overload]
        core.take(collected)
        core.judge(max(event.at for event in collected.events))
    collector.close()
    found = {(finding.code, finding.subject.name): finding.evidence["count"] for finding in core.findings}
    storm = {("xid_13", f"0000:{16 + i:02x}:00"): STORM // 8 for i in range(8)}
    assert found == {("xid_79", "0000:1b:00"): 1, **storm}
    assert [(one.root_code, one.count) for one in core.incidents] == [("xid_79", STORM + 1)]
    assert sum(count for count, _ in core.xid_counts.values()) == STORM + 1
