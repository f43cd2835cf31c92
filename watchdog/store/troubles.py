"""What is wrong with the store itself, as findings. Pure."""

from collections.abc import Iterator

from watchdog.store.set_aside import SetAside
from watchdog.store.writer import WriterStatus
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.subjects import Subject
from watchdog.vocabulary.units import show_duration

SOURCE = "store"
HANGING_SECONDS = 30.0
"""A commit takes milliseconds, and gives up waiting for a lock after five seconds: the disk itself hangs."""


def of_set_aside(node: str, aside: SetAside) -> Finding:
    """The finding that a damaged file was set aside."""
    lost = "an unknown number" if aside.runs_lost is None else str(aside.runs_lost)
    return Finding(
        source=SOURCE,
        subject=Subject(node),
        severity=Severity.WARN,
        code="store_damaged",
        message=f"the store was damaged and is now {aside.path}, a new one was begun; {aside.runs_saved} "
        f"qualifications were carried over, {lost} could not be, nor what the daemon kept",
        action="inspect",
        since=aside.at,
        evidence={
            "path": str(aside.path),
            "reason": aside.reason,
            "runs_saved": aside.runs_saved,
            "runs_lost": aside.runs_lost,
        },
    )


def of_writer(node: str, status: WriterStatus, now: float) -> Iterator[Finding]:
    """What keeps the writer from writing, if anything does."""
    evidence = {
        "rows_waiting": status.rows_waiting,
        "items_waiting": status.items_waiting,
        "rows_dropped_total": status.rows_dropped_total,
        "items_refused_total": status.items_refused_total,
        "errors_total": status.errors_total,
    }
    waiting = f"{status.items_waiting} items and {status.rows_waiting} readings wait"
    if status.failing_since is not None:
        lasts = show_duration(max(now - status.failing_since, 0.0))
        yield Finding(
            source=SOURCE,
            subject=Subject(node),
            severity=Severity.WARN,
            code="store_failing",
            message=f"nothing could be kept for {lasts}, {waiting}: {status.error}",
            action="inspect",
            since=status.failing_since,
            evidence=evidence,
        )
    if status.committing_since is not None and now - status.committing_since > HANGING_SECONDS:
        lasts = show_duration(now - status.committing_since)
        yield Finding(
            source=SOURCE,
            subject=Subject(node),
            severity=Severity.WARN,
            code="store_hanging",
            message=f"a commit has taken {lasts} and is not over, {waiting}: the disk hangs",
            action="inspect",
            since=status.committing_since,
            evidence=evidence,
        )
