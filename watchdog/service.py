"""What the API asks of the daemon: the one seam between HTTP and the loop. A fake of it is enough to test the API."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from watchdog.state import State
from watchdog.vocabulary.incidents import Incident
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.subjects import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegin:
    """A rank says that it trains."""

    run: str
    rank: int
    world_size: int
    at: float
    stage: str = ""
    resume_step: int = 0
    pid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of one rank."""

    run: str
    rank: int
    step: int
    at: float
    seconds: float | None = None
    tokens: int | None = None
    loss: float | None = None
    """May be NaN or infinite: that is for detectors to judge. JSON carries it as the strings "NaN", "Infinity"."""
    grad_norm: float | None = None
    lr: float | None = None
    times: Mapping[str, float] = field(default_factory=dict)
    """Seconds by section: ``data forward backward communication optimizer checkpoint eval gc``."""
    batch_id: str = ""
    open_section: str = ""
    """Section that the rank is in, for finding a hang."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint changed its state: ``writing complete verified good suspect bad``."""

    run: str
    rank: int
    step: int
    at: float
    path: str
    state: str
    seconds: float | None = None
    num_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """A run says what it did with a signal."""

    run: str
    rank: int
    signal_id: str
    at: float
    result: str
    """``acting done refused expired``."""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """A rank says that it is over."""

    run: str
    rank: int
    at: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A person says that something is healthy. A record is added; nothing is deleted."""

    incident: str
    by: str
    reason: str
    at: float


RunRecord = RunBegin | Step | Checkpoint | Ack | RunEnd


class Service(Protocol):
    """The daemon, as HTTP sees it. All methods run in its event loop."""

    @property
    def state(self) -> State:
        """The newest published state."""

    async def keep(self, records: Sequence[RunRecord]) -> None:
        """Keep what a run said; returns once it is on disk, so that an answered request is never lost.

        Raises `StoreError` when it can't be kept: the client sends it again.
        """

    async def mark(self, mark: Mark) -> Incident:
        """Add a person's word to an incident; raises KeyError for an unknown one."""

    async def rows(self, subject: Subject, since: float, limit: int) -> Sequence[Row]:
        """Kept rows of a subject, oldest first."""

    async def events(self, since: float, limit: int) -> Sequence[Event]:
        """Kept events, oldest first."""

    async def incidents(self, since: float, limit: int) -> Sequence[Incident]:
        """Kept incidents by opening, newest first."""

    async def steps(self, run: str, since_step: int, limit: int) -> Sequence[Step]:
        """Kept steps of a run, oldest first."""

    def changes(self) -> AsyncIterator[State]:
        """Each newly published state, for a stream; a slow reader misses states rather than holding up the daemon."""
