"""What is wrong with the store is a finding in one sentence."""

from pathlib import Path

from watchdog.store import SetAside, WriterStatus
from watchdog.store.troubles import of_set_aside, of_writer
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.subjects import Subject


def test_a_file_that_was_set_aside_is_told() -> None:
    aside = SetAside(path=Path("/s/fryer.db.corrupt-1"), reason="damaged", at=5.0, runs_saved=7, runs_lost=None)
    finding = of_set_aside("n1", aside)
    assert finding.key == ("store", "n1", "store_damaged")
    assert (finding.severity, finding.since) == (Severity.WARN, 5.0)
    assert finding.message == (
        "the store was damaged and is now /s/fryer.db.corrupt-1, a new one was begun; 7 qualifications were carried "
        "over, an unknown number could not be, nor what the daemon kept"
    )
    assert finding.evidence["reason"] == "damaged"


def test_a_writer_that_writes_is_no_trouble() -> None:
    assert list(of_writer("n1", WriterStatus(committing_since=90.0), now=120.0)) == []


def test_a_writer_that_fails_says_since_when_and_why() -> None:
    status = WriterStatus(failing_since=30.0, error="no room left", items_waiting=4, rows_waiting=9)
    (finding,) = of_writer("n1", status, now=120.0)
    assert finding.subject == Subject("n1")
    assert (finding.code, finding.since) == ("store_failing", 30.0)
    assert finding.message == "nothing could be kept for 1m30s, 4 items and 9 readings wait: no room left"
    assert finding.evidence["items_waiting"] == 4


def test_a_commit_that_does_not_end_is_a_disk_that_hangs() -> None:
    (finding,) = of_writer("n1", WriterStatus(committing_since=30.0), now=75.0)
    assert (finding.code, finding.since) == ("store_hanging", 30.0)
    assert finding.message == "a commit has taken 45.0s and is not over, 0 items and 0 readings wait: the disk hangs"
