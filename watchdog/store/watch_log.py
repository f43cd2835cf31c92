"""`WatchLog`: what the daemon kept, asked. Read-only; each question opens the file and sees one state of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy import Row as SqlRow

from watchdog.store.baselines import medians_under_load
from watchdog.store.blocks import unpack_rows, unpack_steps
from watchdog.store.bodies import incident_of, signal_of
from watchdog.store.connection import reading
from watchdog.store.database import Store
from watchdog.store.faults import explained
from watchdog.store.items import Cursor, Opened, Remembered
from watchdog.store.minutes import Minute, hour_of, unpack_minutes
from watchdog.store.queries import among
from watchdog.store.watch_tables import (
    ACK,
    CHECKPOINT,
    CODE_COUNT,
    CURSOR,
    EVENT,
    FINDING,
    HOUR,
    INCIDENT,
    INCIDENT_VERSION,
    KEPT_VALUE,
    MARK,
    METRIC,
    ROLLED_UP,
    SIGNAL,
    STEP_BLOCK,
    SUBJECT,
    TICK,
    TRAINING,
)
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import Incident, IncidentState, Mark
from watchdog.vocabulary.runs import Ack, Checkpoint, Step
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.signals import Signal
from watchdog.vocabulary.subjects import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class PastFinding:
    """A finding, and when it was there."""

    finding: Finding
    opened_at: float
    cleared_at: float | None
    """None while it is there."""


@dataclass(frozen=True, slots=True)
class WatchLog:
    """Questions to what the daemon kept. Each raises `StoreError` when the file or its disk fails."""

    store: Store

    def rows(self, subject: Subject, since: float, limit: int) -> list[Row]:
        """The first `limit` readings of `subject` from `since` on, as they came; hours back, see `minutes`."""
        found: list[Row] = []
        with self._asking() as connection:
            subject_id = _subject_id(connection, subject)
            metrics = {row.id: row.name for row in connection.execute(select(METRIC.c.id, METRIC.c.name))}
            ticks = connection.execute(select(TICK.c.rows).where(TICK.c.last_at >= since).order_by(TICK.c.id))
            for tick in ticks if subject_id is not None else ():
                for _, at, values in unpack_rows(tick.rows, metrics, subject_id):
                    if at >= since:
                        found.append(Row(subject=subject, at=at, values=values))
                if len(found) >= limit:
                    break
        return found[:limit]

    def minutes(self, subject: Subject, since: float, limit: int) -> list[Minute]:
        """The first `limit` minutes of `subject` that are not over at `since`, oldest first, as far as rolled up."""
        found: list[Minute] = []
        with self._asking() as connection:
            subject_id = _subject_id(connection, subject)
            wanted = (HOUR.c.subject_id == subject_id) & (HOUR.c.hour >= hour_of(since))
            for hour in connection.execute(select(HOUR).where(wanted).order_by(HOUR.c.hour)):
                minutes = unpack_minutes(hour.minutes, hour.hour).minutes(subject)
                found += [minute for minute in minutes if minute.at + 60.0 > since]
                if len(found) >= limit:
                    break
        return found[:limit]

    def events(self, since: float, limit: int) -> list[Event]:
        """The first `limit` events from `since` on, oldest first.

        One that stands for several has ``count`` and ``last_at`` in its `data`.
        """
        with self._asking() as connection:
            wanted = select(EVENT, SUBJECT.c.node, SUBJECT.c.kind.label("subject_kind"), SUBJECT.c.name)
            wanted = wanted.join(SUBJECT, SUBJECT.c.id == EVENT.c.subject_id).where(EVENT.c.at >= since)
            return [_event(row) for row in connection.execute(wanted.order_by(EVENT.c.at, EVENT.c.id).limit(limit))]

    def findings(self, since: float, limit: int) -> list[PastFinding]:
        """The newest `limit` findings that were opened from `since` on, newest first."""
        with self._asking() as connection:
            wanted = _findings().where(FINDING.c.opened_at >= since)
            newest = wanted.order_by(FINDING.c.opened_at.desc(), FINDING.c.id.desc()).limit(limit)
            return [_past_finding(row) for row in connection.execute(newest)]

    def incidents(self, since: float, limit: int) -> list[Incident]:
        """The newest `limit` incidents that were opened from `since` on, as they are now, newest first."""
        with self._asking() as connection:
            return _incidents(connection, INCIDENT.c.opened_at >= since, limit)

    def incident(self, id_: str) -> tuple[list[Incident], list[Mark]]:
        """(every version of an incident, oldest first and as it is now last; what people said); empty if unknown."""
        with self._asking() as connection:
            versions = select(INCIDENT_VERSION.c.body).where(INCIDENT_VERSION.c.incident_id == id_)
            found = [incident_of(body) for body in connection.scalars(versions.order_by(INCIDENT_VERSION.c.id))]
            found += [each for each in _incidents(connection, INCIDENT.c.id == id_, 1) if each != found[-1]]
            marks = connection.execute(select(MARK).where(MARK.c.incident_id == id_).order_by(MARK.c.id))
            return found, [Mark(incident=row.incident_id, by=row.by, reason=row.reason, at=row.at) for row in marks]

    def steps(self, run: str, since_step: int, limit: int) -> list[Step]:
        """The first `limit` steps of `run` from number `since_step` on, as they came.

        A step that was done again is there again. One that a client sent twice is there once.
        """
        found: dict[tuple[int, int, float], Step] = {}
        with self._asking() as connection:
            wanted = (STEP_BLOCK.c.training_id == _training_id(run)) & (STEP_BLOCK.c.last_step >= since_step)
            for packed in connection.scalars(select(STEP_BLOCK.c.steps).where(wanted).order_by(STEP_BLOCK.c.id)):
                for step in unpack_steps(packed, run):
                    if step.step >= since_step:
                        found.setdefault((step.rank, step.step, step.at), step)
                if len(found) >= limit:
                    break
        return list(found.values())[:limit]

    def subjects(self) -> list[Subject]:
        """Everything that was ever read or found fault with."""
        with self._asking() as connection:
            rows = connection.execute(select(SUBJECT.c.node, SUBJECT.c.kind, SUBJECT.c.name).order_by(SUBJECT.c.id))
            return [Subject(row.node, row.kind, row.name) for row in rows]

    def trainings(self) -> list[str]:
        """Names of all runs that told something, in order of their first word."""
        with self._asking() as connection:
            return list(connection.scalars(select(TRAINING.c.name).order_by(TRAINING.c.id)))

    def every_step(self, run: str) -> Iterator[Step]:
        """Every step of `run` that is kept, as they came, a block in memory at a time.

        A step that was done again is there again. Of past hours one rank of each step is kept.
        """
        newest = -1
        while True:
            with self._asking() as connection:
                wanted = (STEP_BLOCK.c.training_id == _training_id(run)) & (STEP_BLOCK.c.id > newest)
                block = connection.execute(
                    select(STEP_BLOCK.c.id, STEP_BLOCK.c.steps).where(wanted).order_by(STEP_BLOCK.c.id).limit(1)
                ).first()
                found = () if block is None else unpack_steps(block.steps, run)
            if block is None:
                return
            newest = block.id
            yield from found

    def checkpoints(self, run: str, limit: int) -> list[Checkpoint]:
        """The newest `limit` changes of state of checkpoints of `run`, oldest first."""
        with self._asking() as connection:
            newest = select(CHECKPOINT).where(CHECKPOINT.c.training_id == _training_id(run))
            rows = connection.execute(newest.order_by(CHECKPOINT.c.id.desc()).limit(limit)).all()
        names = ("rank", "step", "at", "path", "state", "seconds", "num_bytes")
        return [Checkpoint(run=run, **{name: getattr(row, name) for name in names}) for row in reversed(rows)]

    def signals(self, since: float, limit: int) -> list[tuple[Signal, tuple[Ack, ...]]]:
        """The newest `limit` signals made from `since` on and what was done with each, newest first."""
        with self._asking() as connection:
            newest = select(SIGNAL.c.body).where(SIGNAL.c.created_at >= since).order_by(SIGNAL.c.created_at.desc())
            signals = [signal_of(body) for body in connection.scalars(newest.limit(limit))]
            acks = _acks(connection, [signal.id for signal in signals])
            return [(signal, acks.get(signal.id, ())) for signal in signals]

    def remembered(self, now: float) -> Remembered:
        """What a daemon that starts at `now` must know of the last one."""
        with self._asking() as connection:
            unexpired = select(SIGNAL.c.body).where(SIGNAL.c.expires_at > now).order_by(SIGNAL.c.created_at)
            signals = tuple(signal_of(body) for body in connection.scalars(unexpired))
            open_findings = connection.execute(_findings().where(FINDING.c.cleared_at.is_(None)).order_by(FINDING.c.id))
            past = [_past_finding(row) for row in open_findings]
            return Remembered(
                values={row.key: row.value for row in connection.execute(select(KEPT_VALUE)) if row.key != ROLLED_UP},
                cursors={
                    row.source: Cursor(source=row.source, boot_id=row.boot_id, sequence=row.sequence)
                    for row in connection.execute(select(CURSOR))
                },
                xid_counts=_counts(connection, "xid"),
                sxid_counts=_counts(connection, "sxid"),
                findings=tuple(Opened(finding=each.finding, at=each.opened_at) for each in past),
                incidents=tuple(_incidents(connection, INCIDENT.c.state != IncidentState.CLOSED.value, None)),
                signals=signals,
                acks=_acks(connection, [signal.id for signal in signals]),
            )

    def baselines(self, uuids: Collection[str], *, is_simulated: bool = False) -> dict[str, dict[str, float]]:
        """Of each device that qualified, ``"BURN CASE METRIC"`` -> the newest steady figure with which it did.

        Rates are those that were measured; clock, power and temperatures are medians under that burn.
        """
        found: dict[str, dict[str, float]] = {}
        for figure in self.store.newest_of_devices(uuids, is_simulated=is_simulated):
            if figure.is_steady:
                found.setdefault(figure.uuid, {})[f"{figure.burn} {figure.case} {figure.metric}"] = figure.value
        with self._asking() as connection:
            seen = medians_under_load(connection, uuids, is_simulated=is_simulated)
        for uuid, medians in seen.items():
            found[uuid] = {**medians, **found.get(uuid, {})}
        return found

    @contextmanager
    def _asking(self) -> Iterator[Connection]:
        with (
            explained(self.store.path, "read", self.store.patience_seconds),
            reading(self.store.engine) as connection,
        ):
            yield connection


def _subject_id(connection: Connection, subject: Subject) -> int | None:
    names = (SUBJECT.c.node == subject.node) & (SUBJECT.c.kind == subject.kind) & (SUBJECT.c.name == subject.name)
    found = connection.execute(select(SUBJECT.c.id).where(names)).scalar()
    return None if found is None else int(found)


def _training_id(run: str) -> Any:
    return select(TRAINING.c.id).where(TRAINING.c.name == run).scalar_subquery()


def _event(row: SqlRow[Any]) -> Event:
    collapsed = {"count": row._mapping["count"], "last_at": row.last_at} if row._mapping["count"] > 1 else {}
    return Event(
        kind=row.kind,
        subject=Subject(row.node, row.subject_kind, row.name),
        at=row.at,
        code=row.code,
        severity=row.severity,
        action=row.action,
        message=row.message,
        line=row.line,
        data={**row.data, **collapsed},
    )


def _findings() -> Any:
    columns = select(FINDING, SUBJECT.c.node, SUBJECT.c.kind, SUBJECT.c.name)
    return columns.join(SUBJECT, SUBJECT.c.id == FINDING.c.subject_id)


def _past_finding(row: SqlRow[Any]) -> PastFinding:
    finding = Finding(
        source=row.source,
        subject=Subject(row.node, row.kind, row.name),
        severity=Severity(row.severity),
        code=row.code,
        message=row.message,
        action=row.action,
        since=row.since,
        evidence=row.evidence,
    )
    return PastFinding(finding=finding, opened_at=row.opened_at, cleared_at=row.cleared_at)


def _incidents(connection: Connection, wanted: Any, limit: int | None) -> list[Incident]:
    newest = select(INCIDENT.c.body).where(wanted).order_by(INCIDENT.c.opened_at.desc(), INCIDENT.c.id).limit(limit)
    return [incident_of(body) for body in connection.scalars(newest)]


def _acks(connection: Connection, signals: Sequence[str]) -> dict[str, tuple[Ack, ...]]:
    found: dict[str, tuple[Ack, ...]] = {}
    for row in connection.execute(select(ACK).where(among(ACK.c.signal_id, signals)).order_by(ACK.c.id)):
        names = ("signal_id", "run", "rank", "at", "result", "detail")
        ack = Ack(**{name: getattr(row, name) for name in names})
        found[ack.signal_id] = (*found.get(ack.signal_id, ()), ack)
    return found


def _counts(connection: Connection, kind: str) -> Mapping[tuple[str, int], tuple[int, float]]:
    rows = connection.execute(select(CODE_COUNT).where(CODE_COUNT.c.kind == kind))
    return {(row.unit, row.code): (row._mapping["count"], row.last_at) for row in rows}
