"""A `Service` over a state that tests set, which keeps in memory; and a process that serves the API over it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from watchdog.service import Mark, RunRecord, Step
from watchdog.state import CollectorState, RunState, State
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import Incident, IncidentState
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.signals import Action, Signal
from watchdog.vocabulary.subjects import Subject

GPU = Subject("node001", "gpu", "GPU-1")
ROW = Row(subject=GPU, at=1000.0, values={"power_watts": 700.0, "temperature_celsius": float("inf")})
EVENT = Event(kind="xid", subject=GPU, at=1000.0, code=79, line="NVRM: Xid (PCI:0000:1b:00): 79", data={"pid": None})
FINDING = Finding(
    source="xid",
    subject=GPU,
    severity=Severity.FAIL,
    code="xid_79",
    message="fell off the bus",
    action="drain_reset",
    since=999.0,
    evidence={"margin": float("nan"), "subject": GPU},
)
INCIDENT = Incident(
    id="i-1",
    node="node001",
    opened_at=999.0,
    updated_at=1000.0,
    state=IncidentState.OPEN,
    severity=Severity.FAIL,
    root=GPU,
    root_code="xid_79",
    title="GPU-1 fell off the bus",
    action="drain_reset",
    victims=(Subject("node001", "rank", "3"),),
    cost={"gpu_hours": 0.5},
    evidence=({"line": "NVRM"},),
)
SIGNAL = Signal(
    id="s-1", action=Action.SAVE, reason="a GPU is dying", confidence=0.9, created_at=1000.0, expires_at=9e9, run="r"
)
STATE = State(
    node="node001",
    at=1000.0,
    started_at=900.0,
    version="0.1.0",
    severity=Severity.FAIL,
    findings=(FINDING,),
    incidents=(INCIDENT,),
    rows={GPU: ROW},
    facts={GPU: {"index": 0}},
    collectors=(CollectorState(name="nvml", period_seconds=1.0),),
    runs=(RunState(run="r", values={"loss": float("nan")}),),
    xid_counts={("GPU-1", 79): (2, 1000.0)},
)


@dataclass
class FakeService:
    state: State = STATE
    records: list[RunRecord] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    error: Exception | None = None
    """Raised by every method that may."""
    held: asyncio.Event | None = None
    """`keep` returns once it is set."""
    readers: list[asyncio.Queue[State]] = field(default_factory=list)

    async def keep(self, records: Sequence[RunRecord]) -> None:
        if self.held is not None:
            await self.held.wait()
        self._fail()
        self.records += records

    async def mark(self, mark: Mark) -> Incident:
        self._fail()
        if mark.incident != INCIDENT.id:
            raise KeyError(mark.incident)
        self.marks.append(mark)
        return INCIDENT

    async def rows(self, subject: Subject, since: float, limit: int) -> Sequence[Row]:
        self._fail()
        return [ROW][:limit] if subject == GPU and ROW.at >= since else []

    async def events(self, since: float, limit: int) -> Sequence[Event]:
        self._fail()
        return [EVENT][:limit] if EVENT.at >= since else []

    async def incidents(self, since: float, limit: int) -> Sequence[Incident]:
        self._fail()
        return [INCIDENT, replace(INCIDENT, id="i-0")][:limit] if INCIDENT.opened_at >= since else []

    async def steps(self, run: str, since_step: int, limit: int) -> Sequence[Step]:
        self._fail()
        found = [r for r in self.records if isinstance(r, Step) and r.run == run and r.step >= since_step]
        return found[:limit]

    async def changes(self) -> AsyncIterator[State]:
        reader: asyncio.Queue[State] = asyncio.Queue(maxsize=1)
        self.readers.append(reader)
        try:
            while True:
                yield await reader.get()
        finally:
            self.readers.remove(reader)

    def publish(self, **changed: Any) -> None:
        """A new state, which replaces one that a reader has not fetched yet."""
        self.state = replace(self.state, **changed)
        for reader in self.readers:
            if reader.full():
                reader.get_nowait()
            reader.put_nowait(self.state)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error
