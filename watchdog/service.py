"""What the API asks of the daemon: the one seam between HTTP and the loop. A fake of it is enough to test the API."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from watchdog.state import State
from watchdog.vocabulary.incidents import Incident, Mark
from watchdog.vocabulary.runs import Ack, Checkpoint, RunBegin, RunEnd, RunRecord, Step
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.subjects import Subject

__all__ = ["Ack", "Checkpoint", "Mark", "RunBegin", "RunEnd", "RunRecord", "Service", "Step"]


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
