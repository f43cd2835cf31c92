"""What the daemon's writer takes, and what is found again at the next start. Frozen, and free of any library."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from watchdog.vocabulary.findings import Finding
from watchdog.vocabulary.incidents import Incident, Mark
from watchdog.vocabulary.runs import Ack, Checkpoint, RunBegin, RunEnd, Step
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.signals import Signal

COLLAPSE_SECONDS = 60.0
"""Events that differ in time and line alone are one record with a count, if they come within so long of its first.
As fine as the roll-up of readings, so that a burst of a million lines takes a record a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A finding is there, or is there and has changed. Say it once, and not at each look."""

    finding: Finding
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """A finding is gone: the one with this `Finding.key`."""

    key: tuple[str, str, str]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a source has been read. Submit it together with what was read: both are kept, or neither."""

    source: str
    """``kmsg``."""
    boot_id: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """A value to find again after a restart: replaces what was kept under this key."""

    key: str
    value: object
    """What `json.dumps` takes."""


Item = (
    Row
    | Event
    | Opened
    | Cleared
    | Incident
    | Signal
    | Ack
    | Mark
    | RunBegin
    | Step
    | Checkpoint
    | RunEnd
    | Cursor
    | Keep
)
"""What `Writer.submit` takes. An `Incident` or `Signal` replaces the one with its id; the rest is added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What a daemon that starts finds of the last one."""

    values: Mapping[str, object] = field(default_factory=dict)
    """Every `Keep`, by key."""
    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    """By source."""
    xid_counts: Mapping[tuple[str, int], tuple[int, float]] = field(default_factory=dict)
    """By (name of the event's subject, code): how many since the store began, and when the last one came."""
    sxid_counts: Mapping[tuple[str, int], tuple[int, float]] = field(default_factory=dict)
    findings: tuple[Opened, ...] = ()
    """Those that are not cleared, with when they were opened."""
    incidents: tuple[Incident, ...] = ()
    """Those that are not closed, newest first."""
    signals: tuple[Signal, ...] = ()
    """Those that have not expired, oldest first."""
    acks: Mapping[str, tuple[Ack, ...]] = field(default_factory=dict)
    """What was done with these, by signal's id."""
