"""Readers of the machine: one source a file. They read and never judge.

To add one: write `watchdog/collectors/NAME.py` with a class that has `collect`, list it in `COLLECTORS`
(`watchdog/collectors/registry.py`), add its test and its row in docs/collectors.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.subjects import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What one call of a collector gave."""

    rows: tuple[Row, ...] = ()
    events: tuple[Event, ...] = ()
    facts: Mapping[Subject, Mapping[str, object]] = field(default_factory=dict)
    """Only what is new or changed."""
    cursor: tuple[str, str, int] | None = None
    """(source, boot id, sequence number) behind these events, where the source is read by position."""


class Collector(Protocol):
    """One source. Called from one thread of its own, never twice at the same time."""

    def collect(self, now: float) -> Collected:
        """Read the source once; `now` is Unix seconds and goes into what is returned.

        Raises `SourceMissing` (this machine has no such source: it is not called again) or `SourceFailed` (it should
        work and does not: the subject is UNKNOWN). Blocks at most the deadline of its registry entry; a source that
        waits for something to happen (period 0) returns with nothing after at most a second.
        """

    def close(self) -> None:
        """Give back what it holds."""
