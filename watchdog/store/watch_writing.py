"""Items of the daemon into the tables. Works within a transaction that is given, and begins none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update
from sqlalchemy.dialects import sqlite

from watchdog.store.blocks import pack_rows, pack_steps
from watchdog.store.bodies import incident_body, is_new_version, signal_body
from watchdog.store.collapse import Collapse
from watchdog.store.items import Cleared, Cursor, Item, Keep, Opened
from watchdog.store.names import Names
from watchdog.store.watch_tables import (
    ACK,
    CHECKPOINT,
    CURSOR,
    FINDING,
    INCIDENT,
    INCIDENT_VERSION,
    KEPT_VALUE,
    MARK,
    SIGNAL,
    STEP_BLOCK,
    TICK,
    TRAINING_RANK,
)
from watchdog.vocabulary.incidents import Incident, Mark
from watchdog.vocabulary.runs import Ack, Checkpoint, RunBegin, RunEnd, Step
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.signals import Signal
from watchdog.vocabulary.subjects import Subject


@dataclass(slots=True)
class Pen:
    """Writes items. What it remembers holds only while transactions succeed: take a new one when one fails."""

    names: Names = field(default_factory=Names)
    collapse: Collapse = field(default_factory=Collapse)

    def write(self, connection: Connection, items: Sequence[Item]) -> None:
        """Write `items`, in their order within each kind; raises what the database raises, and `TypeError` for what
        is no item.
        """
        rows, events, steps = [], [], []
        for item in items:
            if isinstance(item, Row):
                rows.append(item)
            elif isinstance(item, Event):
                events.append(item)
            elif isinstance(item, Step):
                steps.append(item)
            else:
                self._write_one(connection, item)
        if rows:
            self._write_rows(connection, rows)
        if events:
            self.collapse.write(connection, self.names, events)
        if steps:
            self._write_steps(connection, steps)

    def _write_rows(self, connection: Connection, rows: list[Row]) -> None:
        packed = pack_rows(
            rows,
            lambda subject: self.names.subject(connection, subject),
            lambda metrics: self.names.metric_ids(connection, metrics),
        )
        connection.execute(insert(TICK).values(last_at=max(row.at for row in rows), rows=packed))

    def _write_steps(self, connection: Connection, steps: list[Step]) -> None:
        by_run: dict[str, list[Step]] = {}
        for step in steps:
            by_run.setdefault(step.run, []).append(step)
        blocks = [step_block(self.names.training(connection, run), those) for run, those in by_run.items()]
        connection.execute(insert(STEP_BLOCK), blocks)

    def _write_one(self, connection: Connection, item: Item) -> None:
        match item:
            case Opened():
                self._open(connection, item)
            case Cleared():
                _clear(connection, self._finding_key(connection, item.key), item.at)
            case RunBegin():
                connection.execute(insert(TRAINING_RANK).values(**self._begin_columns(connection, item)))
            case RunEnd():
                self._end(connection, item)
            case Checkpoint():
                columns = _columns(item, "rank", "step", "at", "path", "state", "seconds", "num_bytes")
                columns["training_id"] = self.names.training(connection, item.run)
                connection.execute(insert(CHECKPOINT).values(**columns))
            case _:
                _write_nameless(connection, item)

    def _finding_key(self, connection: Connection, key: tuple[str, str, str]) -> dict[str, Any]:
        source, subject, code = key
        subject_id = self.names.subject(connection, Subject.parse(subject))
        return {"source": source, "subject_id": subject_id, "code": code}

    def _open(self, connection: Connection, item: Opened) -> None:
        finding = item.finding
        key = self._finding_key(connection, finding.key)
        _clear(connection, key, item.at)
        columns = _columns(finding, "message", "action", "since")
        columns |= {"severity": int(finding.severity), "evidence": dict(finding.evidence), "opened_at": item.at}
        connection.execute(insert(FINDING).values(**key, **columns))

    def _begin_columns(self, connection: Connection, begin: RunBegin) -> dict[str, Any]:
        columns = _columns(begin, "rank", "world_size", "stage", "resume_step", "pid")
        training_id = self.names.training(connection, begin.run)
        return columns | {"training_id": training_id, "begun_at": begin.at, "end_reason": ""}

    def _end(self, connection: Connection, end: RunEnd) -> None:
        training_id = self.names.training(connection, end.run)
        rank = (TRAINING_RANK.c.training_id == training_id) & (TRAINING_RANK.c.rank == end.rank)
        newest = select(TRAINING_RANK.c.id).where(rank).order_by(TRAINING_RANK.c.id.desc()).limit(1)
        ended = {"ended_at": end.at, "end_reason": end.reason}
        changed = connection.execute(
            update(TRAINING_RANK).where(TRAINING_RANK.c.id == newest.scalar_subquery()).values(**ended)
        )
        if not changed.rowcount:  # its beginning was never told: what is known of it is its end
            begin = RunBegin(run=end.run, rank=end.rank, world_size=0, at=end.at)
            connection.execute(insert(TRAINING_RANK).values(**self._begin_columns(connection, begin) | ended))


def step_block(training_id: int, steps: Sequence[Step], *, is_packed: bool = False) -> dict[str, Any]:
    """The row of `STEP_BLOCK` for `steps` of one run."""
    return {
        "training_id": training_id,
        "last_step": max(step.step for step in steps),
        "last_at": max(step.at for step in steps),
        "is_packed": int(is_packed),
        "steps": pack_steps(steps),
    }


def _columns(item: object, *names: str) -> dict[str, Any]:
    return {name: getattr(item, name) for name in names}


def _clear(connection: Connection, key: dict[str, Any], at: float) -> None:
    same = [FINDING.c[name] == value for name, value in key.items()]
    connection.execute(update(FINDING).where(*same, FINDING.c.cleared_at.is_(None)).values(cleared_at=at))


def _write_nameless(connection: Connection, item: Item) -> None:
    """Write an item that refers to no name."""
    match item:
        case Incident():
            _write_incident(connection, item)
        case Signal():
            columns = _columns(item, "id", "created_at", "expires_at")
            _replace(connection, SIGNAL, columns | {"body": signal_body(item)})
        case Ack():
            columns = _columns(item, "signal_id", "run", "rank", "at", "result", "detail")
            connection.execute(insert(ACK).values(**columns))
        case Mark():
            columns = _columns(item, "by", "reason", "at")
            connection.execute(insert(MARK).values(incident_id=item.incident, **columns))
        case Cursor():
            _replace(connection, CURSOR, _columns(item, "source", "boot_id", "sequence"))
        case Keep():
            _replace(connection, KEPT_VALUE, _columns(item, "key", "value"))
        case _:
            raise TypeError(f"a {type(item).__name__} is nothing that the daemon's store keeps")


def _write_incident(connection: Connection, incident: Incident) -> None:
    body = incident_body(incident)
    before = connection.execute(select(INCIDENT.c.body).where(INCIDENT.c.id == incident.id)).scalar()
    _replace(
        connection, INCIDENT, {**_columns(incident, "id", "opened_at"), "state": incident.state.value, "body": body}
    )
    if is_new_version(before, body):
        version = {"incident_id": incident.id, "at": incident.updated_at, "body": body}
        connection.execute(insert(INCIDENT_VERSION).values(**version))


def _replace(connection: Connection, table: Table, columns: dict[str, Any]) -> None:
    """Insert a row, or put it in the place of the one with its primary key."""
    added = sqlite.insert(table)
    key = [column.name for column in table.primary_key]
    values = {name: added.excluded[name] for name in columns if name not in key}
    connection.execute(added.on_conflict_do_update(index_elements=key, set_=values), [columns])
