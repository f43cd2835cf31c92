"""Whole kernel logs of real nodes, and the real cascade of the labelled samples."""

import re
from datetime import datetime
from pathlib import Path

import pytest

from watchdog.incidents import Book, IncidentLimits, update
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Event
from watchdog.vocabulary.subjects import Subject

DATA = Path(__file__).parents[3].parent / "shared" / "data"
LIMITS = IncidentLimits()
XID = re.compile(r"(\d{4}-\d\d-\d\dT\S+) NVRM: Xid \(PCI:([\da-f:]+)\): (\d+),")
RING = re.compile(r"\[ *(\d+\.\d+)\] .*?(Xid|SXid) \(PCI:([\da-f]{4}:[\da-f]{2}:[\da-f]{2})")
CODE = re.compile(r"\): (\d+),")
FATAL = {48, 79, 95}


def lines(name: str) -> list[str]:
    file = DATA / name
    if not file.exists():
        pytest.skip(f"{file} is not there")
    return file.read_text(encoding="utf-8").splitlines()


def xids(name: str) -> list[Event]:
    found = [match for line in lines(name) if (match := XID.search(line))]
    return [
        Event(
            kind="xid",
            subject=Subject("n", "gpu", match[2]),
            at=datetime.fromisoformat(match[1].replace(",", ".")).timestamp(),
            code=int(match[3]),
        )
        for match in found
    ]


def seen(event: Event) -> Finding:
    """What the Xid detector says of an event."""
    is_fatal = event.code in FATAL
    return Finding(
        source=event.kind,
        subject=event.subject,
        severity=Severity.FAIL if is_fatal else Severity.WARN,
        code=f"{event.kind}_{event.code}",
        message="seen",
        action="reset_gpu" if is_fatal else "none",
        since=event.at,
    )


def replayed(events: list[Event]) -> Book:
    book, first = Book(), {}
    for event in events:
        first.setdefault((event.subject, event.code), seen(event))
        book, _ = update(book, findings=list(first.values()), events=[event], now=event.at, limits=LIMITS)
    return book


def test_the_storm_of_a_crashed_program_is_one_incident():
    events = xids("kernel_logs/gpud_dmesg_dmesg.decode.iso.log.0.txt")
    assert len(events) > 600
    (incident,) = replayed(events).open
    assert (incident.count, incident.root_code) == (len(events), "xid_13")
    assert set(incident.codes) <= {"xid_13", "xid_43"}
    assert len(incident.evidence) <= LIMITS.most_evidence


def test_a_double_bit_error_with_its_remapping_and_dying_channels_is_one_incident():
    events = xids("kernel_logs/gpud_query_log_tail_dmesg.0.log.txt")
    (incident,) = replayed(events).open
    assert (incident.root_code, incident.root.name, incident.victims) == ("xid_48", "0000:19:00", ())
    assert incident.codes[:3] == ("xid_48", "xid_63", "xid_94")
    assert (incident.count, incident.action) == (len(events), "reset_gpu")


def test_the_real_cascade_of_a_fallen_gpu_and_its_switches_is_one_incident_with_the_gpu_as_root():
    """Samples from gpud's sxid/README.md, stamps of one boot: 79 at 6781741.5, the switches at 6781753.4."""
    rows = [line.split("\t") for line in lines("kmsg_samples.tsv") if "sxid/README.md" in line]
    events = []
    for text, label, *_ in rows:
        match = RING.search(text)
        if match is None or "detail" in label or not label.startswith(("xid", "sxid")):
            continue
        kind = match[2].lower()
        subject = Subject("n", "gpu" if kind == "xid" else "switch", match[3])
        events.append(Event(kind=kind, subject=subject, at=float(match[1]), code=int(CODE.search(text)[1])))
    peers = [Subject("n", "gpu", f"0000:{bus}:00") for bus in ("19", "3b", "4c")]
    events += [Event(kind="xid", subject=peer, at=6781753.5, code=45, data={"previous_xid": 79}) for peer in peers]
    assert [(event.kind, event.code) for event in events[:2]] == [("xid", 79), ("sxid", 20034)]
    assert events[1].at - events[0].at == pytest.approx(11.851805)
    (incident,) = replayed(events).open
    assert (incident.root.name, incident.root_code) == ("0000:91:00", "xid_79")
    assert set(incident.victims) == {Subject("n", "switch", "0000:06:00"), *peers}
    assert incident.count == len(events)


def test_the_port_that_lost_its_gpu_a_tenth_of_a_second_before_belongs_to_it():
    """wilicc/gpu-burn#1: AER on the port at 74889.542, Xid 79 at 74889.644; the corrected AER 104 s before does not."""
    rows = [line.split("\t") for line in lines("kmsg_samples.tsv") if "gpu-burn#1" in line]
    events = []
    for text, label, *_ in rows:
        at = float(text.removeprefix("[").partition("]")[0])
        if label == "xid:79":
            events.append(Event(kind="xid", subject=Subject("n", "gpu", "0000:02:00"), at=at, code=79))
        elif "error received" in text:
            events.append(Event(kind="aer", subject=Subject("n"), at=at, data={"pci": "0000:00:02.0"}))
    events.sort(key=lambda event: event.at)
    book = Book()
    for event in events:
        findings = [seen(event)] if event.kind == "xid" else []
        book, _ = update(book, findings=findings, events=[event], now=event.at, limits=LIMITS)
    (incident,) = book.open
    assert (incident.root.name, incident.root_code, incident.codes) == ("0000:02:00", "xid_79", ("aer", "xid_79"))
    assert (len(events), incident.count, book.num_unclaimed) == (3, 2, 1)
