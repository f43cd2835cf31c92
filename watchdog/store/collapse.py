"""Events that repeat become one record with a count: a burst of 250,000 lines must not become as many records.

Events are the same when they differ in time, line and data alone. Their record keeps the first line and data. It takes
what comes within `COLLAPSE_SECONDS` of the first; what comes later is a new record, so a long burst has its course.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.dialects import sqlite

from watchdog.store.items import COLLAPSE_SECONDS
from watchdog.store.names import Names
from watchdog.store.watch_tables import CODE_COUNT, EVENT
from watchdog.vocabulary.samples import Event

COUNTED_KINDS = ("xid", "sxid")
_MOST_KNOWN = 4096
"""Records that may still take repeats; beyond so many, the one that was touched longest ago takes no more."""
_Key = tuple[object, ...]


@dataclass(slots=True)
class _Record:
    id: int
    at: float
    last_at: float
    count: int


@dataclass(slots=True)
class Collapse:
    """Records that may still take repeats. Drop it when a transaction fails, as `Names`."""

    records: OrderedDict[_Key, _Record] = field(default_factory=OrderedDict)

    def write(self, connection: Connection, names: Names, events: list[Event]) -> None:
        """Keep `events`, and add those that carry an Xid or SXid to the counts of these."""
        free = (connection.execute(select(func.max(EVENT.c.id))).scalar() or 0) + 1
        new: dict[int, dict[str, Any]] = {}
        grown: dict[int, _Record] = {}
        for event in events:
            record = self._find(event)
            if record is None:
                record = self._begin(event, free + len(new))
                new[record.id] = _columns(event, names.subject(connection, event.subject))
            else:
                record.count += times(event)
                record.last_at = max(record.last_at, event.at)
            grown[record.id] = record
        for id_, columns in new.items():
            record = grown.pop(id_)
            columns |= {"id": id_, "count": record.count, "last_at": record.last_at}
        if new:
            connection.execute(insert(EVENT), list(new.values()))
        if grown:
            changes = [{"key": each.id, "count": each.count, "last_at": each.last_at} for each in grown.values()]
            connection.execute(update(EVENT).where(EVENT.c.id == bindparam("key")), changes)
        _count_codes(connection, events)

    def _find(self, event: Event) -> _Record | None:
        record = self.records.get(_key(event))
        if record is None or not 0.0 <= event.at - record.at < COLLAPSE_SECONDS:
            return None
        self.records.move_to_end(_key(event))
        return record

    def _begin(self, event: Event, id_: int) -> _Record:
        record = _Record(id=id_, at=event.at, last_at=event.at, count=times(event))
        self.records[_key(event)] = record
        self.records.move_to_end(_key(event))
        if len(self.records) > _MOST_KNOWN:
            self.records.popitem(last=False)
        return record


def times(event: Event) -> int:
    """How often the event happened: ``data["count"]`` of one that whoever read it had collapsed already, else 1."""
    count = event.data.get("count", 1)
    return count if isinstance(count, int) and count > 0 else 1


def _key(event: Event) -> _Key:
    return (event.kind, event.subject, event.code, event.severity, event.action, event.message)


def _columns(event: Event, subject_id: int) -> dict[str, Any]:
    return {
        "at": event.at,
        "kind": event.kind,
        "subject_id": subject_id,
        "code": event.code,
        "severity": event.severity,
        "action": event.action,
        "message": event.message,
        "line": event.line,
        "data": dict(event.data),
    }


def _count_codes(connection: Connection, events: list[Event]) -> None:
    counts: dict[tuple[str, str, int], tuple[int, float]] = {}
    for event in events:
        if event.kind in COUNTED_KINDS and event.code is not None:
            key = (event.kind, event.subject.name, event.code)
            count, last_at = counts.get(key, (0, event.at))
            counts[key] = (count + times(event), max(last_at, event.at))
    if not counts:
        return
    added = sqlite.insert(CODE_COUNT)
    added = added.on_conflict_do_update(
        index_elements=["kind", "unit", "code"],
        set_={
            "count": CODE_COUNT.c.count + added.excluded.count,
            "last_at": func.max(CODE_COUNT.c.last_at, added.excluded.last_at),
        },
    )
    rows = [
        {"kind": kind, "unit": unit, "code": code, "count": count, "last_at": last_at}
        for (kind, unit, code), (count, last_at) in counts.items()
    ]
    connection.execute(added, rows)
