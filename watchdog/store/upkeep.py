"""What keeps the file small: roll-ups, retention, packing of steps, and giving room back. For a scheduler to call.

Each call is bounded, and works in short transactions, so that the writer never waits for long; what is left is for the
next call. Any of them may be killed at any time, or run twice at once: nothing is counted twice or lost.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, func, insert, select, update
from sqlalchemy.dialects import sqlite

from watchdog.store.blocks import unpack_rows, unpack_steps
from watchdog.store.connection import reading, writing
from watchdog.store.database import Store
from watchdog.store.faults import explained
from watchdog.store.minutes import HOUR_SECONDS, HourOfMinutes, hour_of, pack_minutes, unpack_minutes
from watchdog.store.packing import PackingError
from watchdog.store.watch_tables import EVENT, HOUR, KEPT_VALUE, METRIC, ROLLED_UP, STEP_BLOCK, TICK, TRAINING
from watchdog.store.watch_writing import step_block
from watchdog.vocabulary.runs import Step

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400.0
_TICKS_AT_ONCE = 300
"""Ticks in one portion of a roll-up: five minutes, some 10 ms of arithmetic for eight GPUs."""
_ROWS_AT_ONCE = 2_000
"""Rows deleted in one transaction: some 10 ms."""
_PAGES_AT_ONCE = 256
"""Pages given back in one transaction: 1 MiB."""
SPARE_BYTES = 1 << 20
"""Free pages that are left, to be used again: what a proof that the disk can be written takes."""
_MOST_PORTIONS = 200
"""Portions in one call: seventeen hours of ticks. A daemon that was down for long catches up over several calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things are kept. Findings, incidents, signals, checkpoints and qualifications are kept for ever."""

    rows_seconds: float = 3 * 3600.0
    """Readings as they were; then their minutes are left."""
    minutes_seconds: float = 28 * DAY_SECONDS
    """A training run of the size that this is made for takes 24 days."""
    events_seconds: float = 90 * DAY_SECONDS
    most_events: int = 200_000
    """Records; the oldest go first. Some 100 MB, which only a storm of ever different lines can reach."""
    steps_seconds: float = 4 * 3600.0
    """Steps of every rank; then those of each step's lowest rank on this node are left."""
    packed_steps_seconds: float = 180 * DAY_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many records a `prune` took away."""

    ticks: int
    hours: int
    events: int
    step_blocks: int


def keep_small(store: Store, now: float, retention: Retention) -> Pruned:
    """All of it, in the order that makes sense: every ten minutes is often enough. Raises `StoreError`."""
    roll_up(store)
    pack_steps(store, now, retention)
    pruned = prune(store, now, retention)
    give_back(store)
    checkpoint(store)
    return pruned


def roll_up(store: Store) -> int:
    """Add all readings that are new to the minutes that they belong to; how many ticks those were."""
    done = 0
    with explained(store.path, "write", store.patience_seconds):
        for _ in range(_MOST_PORTIONS):
            portion = _roll_up_portion(store)
            done += portion
            if portion < _TICKS_AT_ONCE:
                break
    return done


def prune(store: Store, now: float, retention: Retention) -> Pruned:
    """Take away what is older than `retention` allows at `now`.

    Readings leave by the tick, once the newest in it is too old, and never before they are rolled up.
    """
    with explained(store.path, "write", store.patience_seconds):
        with reading(store.engine) as connection:
            rolled_up, too_many = _rolled_up(connection), _newest_excess_event(connection, retention.most_events)
        old_events = (EVENT.c.last_at < now - retention.events_seconds) & (EVENT.c.at < now - retention.events_seconds)
        return Pruned(
            ticks=_delete(store, TICK, (TICK.c.last_at < now - retention.rows_seconds) & (TICK.c.id <= rolled_up)),
            hours=_delete(store, HOUR, HOUR.c.hour < hour_of(now - retention.minutes_seconds)),
            events=_delete(store, EVENT, old_events | (EVENT.c.id <= too_many)),
            step_blocks=_delete(store, STEP_BLOCK, STEP_BLOCK.c.last_at < now - retention.packed_steps_seconds),
        )


def pack_steps(store: Store, now: float, retention: Retention) -> int:
    """Make one block of the steps of each run and hour that is over for `retention.steps_seconds`, one rank a step.

    How many blocks were packed.
    """
    before = hour_of(now - retention.steps_seconds) * HOUR_SECONDS
    done = 0
    with explained(store.path, "write", store.patience_seconds):
        for _ in range(_MOST_PORTIONS):
            packed = _pack_oldest_hour(store, before)
            done += packed
            if not packed:
                break
    return done


def give_back(store: Store, *, spare_bytes: int = SPARE_BYTES) -> int:
    """Give free pages back to the file system, but for `spare_bytes` that will be needed again; how many bytes.

    Does nothing to a file that was made before files could shrink: its free pages are used again.
    """
    with explained(store.path, "write", store.patience_seconds), store.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None  # just connected
        page_bytes, vacuum, before = (_pragma(driver, name) for name in ("page_size", "auto_vacuum", "page_count"))
        for _ in range(_MOST_PORTIONS):
            pages = min(_pragma(driver, "freelist_count") - spare_bytes // page_bytes, _PAGES_AT_ONCE)
            if pages <= 0 or vacuum == 0:
                break
            # as a script, since it frees a page at each step, and `execute` takes but one of a statement without rows
            driver.executescript(f"PRAGMA incremental_vacuum({pages})")
        return (before - _pragma(driver, "page_count")) * page_bytes


def _pragma(driver: Any, name: str) -> int:
    return int(driver.execute(f"PRAGMA {name}").fetchone()[0])


def checkpoint(store: Store) -> bool:
    """Copy the log into the file, and cut it; False where a reader keeps it from being done whole."""
    with explained(store.path, "write", store.patience_seconds), store.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None  # just connected
        is_busy = bool(driver.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0])
    return not is_busy


def _rolled_up(connection: Connection) -> int:
    found = connection.execute(select(KEPT_VALUE.c.value).where(KEPT_VALUE.c.key == ROLLED_UP)).scalar()
    return int(found or 0)


def _roll_up_portion(store: Store) -> int:
    with reading(store.engine) as connection:
        start = _rolled_up(connection)
        ticks = connection.execute(
            select(TICK.c.id, TICK.c.rows).where(TICK.c.id > start).order_by(TICK.c.id).limit(_TICKS_AT_ONCE)
        ).all()
        if not ticks:
            return 0
        metrics = {row.id: row.name for row in connection.execute(select(METRIC.c.id, METRIC.c.name))}
        hours: dict[tuple[int, int], HourOfMinutes] = {}
        for tick in ticks:
            for subject_id, at, values in _readings(tick.id, tick.rows, metrics):
                key = (subject_id, hour_of(at))
                if key not in hours:
                    hours[key] = _load_hour(connection, *key)
                hours[key].add(at, values)
    packed = [
        {"subject_id": subject_id, "hour": number, "minutes": pack_minutes(hour)}
        for (subject_id, number), hour in hours.items()
    ]
    with writing(store.engine) as connection:
        if _rolled_up(connection) != start:  # another process did it meanwhile: this would count them twice
            return 0
        if packed:
            _replace_hours(connection, packed)
        _keep_rolled_up(connection, ticks[-1].id)
    return len(ticks)


def _readings(tick: int, rows: bytes, metrics: Mapping[int, str]) -> list[tuple[int, float, dict[str, float]]]:
    """Those of a tick; none of one that is damaged, which must not keep all later ones from being rolled up."""
    try:
        return list(unpack_rows(rows, metrics))
    except PackingError as error:
        log.error("readings lost tick=%d error=%s", tick, error)
        return []


def _load_hour(connection: Connection, subject_id: int, hour: int) -> HourOfMinutes:
    packed = connection.execute(
        select(HOUR.c.minutes).where(HOUR.c.subject_id == subject_id, HOUR.c.hour == hour)
    ).scalar()
    if packed is None:
        return HourOfMinutes(hour)
    try:
        return unpack_minutes(packed, hour)
    except PackingError as error:
        log.error("minutes lost subject=%d hour=%d error=%s", subject_id, hour, error)
        return HourOfMinutes(hour)


def _replace_hours(connection: Connection, packed: list[dict[str, object]]) -> None:
    added = sqlite.insert(HOUR)
    added = added.on_conflict_do_update(index_elements=["subject_id", "hour"], set_={"minutes": added.excluded.minutes})
    connection.execute(added, packed)


def _keep_rolled_up(connection: Connection, tick: int) -> None:
    changed = connection.execute(update(KEPT_VALUE).where(KEPT_VALUE.c.key == ROLLED_UP).values(value=tick))
    if not changed.rowcount:
        connection.execute(insert(KEPT_VALUE).values(key=ROLLED_UP, value=tick))


def _newest_excess_event(connection: Connection, most: int) -> int:
    """Id of the newest event that is one too many; 0 where none is."""
    newest = select(EVENT.c.id).order_by(EVENT.c.id.desc()).offset(most).limit(1)
    return int(connection.execute(newest).scalar() or 0)


def _delete(store: Store, table: Table, old: ColumnElement[bool]) -> int:
    """Delete the `old` rows of `table`, some at a time."""
    some = select(table.c.id).where(old).limit(_ROWS_AT_ONCE)
    total = 0
    for _ in range(_MOST_PORTIONS):
        with writing(store.engine) as connection:
            deleted = connection.execute(delete(table).where(table.c.id.in_(some.scalar_subquery()))).rowcount
        total += deleted
        if deleted < _ROWS_AT_ONCE:
            break
    return total


def _pack_oldest_hour(store: Store, before: float) -> int:
    """Pack the oldest hour that ended before `before`; how many blocks were made, 0 or more."""
    loose = (STEP_BLOCK.c.is_packed == 0) & (STEP_BLOCK.c.last_at < before)
    with reading(store.engine) as connection:
        oldest = connection.execute(select(func.min(STEP_BLOCK.c.last_at)).where(loose)).scalar()
        if oldest is None:
            return 0
        hour = loose & (STEP_BLOCK.c.last_at < (hour_of(oldest) + 1) * HOUR_SECONDS)
        found = select(STEP_BLOCK.c.id, STEP_BLOCK.c.training_id, STEP_BLOCK.c.steps, TRAINING.c.name)
        blocks = connection.execute(
            found.join(TRAINING, TRAINING.c.id == STEP_BLOCK.c.training_id).where(hour).order_by(STEP_BLOCK.c.id)
        ).all()
    packed = _packed_blocks(blocks)
    those = hour & (STEP_BLOCK.c.id <= blocks[-1].id)
    with writing(store.engine) as connection:
        if connection.execute(select(func.count()).select_from(STEP_BLOCK).where(those)).scalar_one() != len(blocks):
            return 0  # another process did it meanwhile
        connection.execute(delete(STEP_BLOCK).where(those))
        if packed:
            connection.execute(insert(STEP_BLOCK), packed)
    return len(packed)


def _packed_blocks(blocks: Sequence[Any]) -> list[dict[str, Any]]:
    """One block for each run, in the place of its first, since blocks are read in the order of their ids."""
    places: dict[int, int] = {}
    steps: dict[int, list[Step]] = {}
    for block in blocks:
        places.setdefault(block.training_id, block.id)
        try:
            steps.setdefault(block.training_id, []).extend(unpack_steps(block.steps, block.name))
        except PackingError as error:
            log.error("steps lost run=%s block=%d error=%s", block.name, block.id, error)
    return [
        {"id": places[id_], **step_block(id_, list(_lowest_ranks(those)), is_packed=True)}
        for id_, those in steps.items()
        if those
    ]


def _lowest_ranks(steps: list[Step]) -> Iterator[Step]:
    """Of each step its lowest rank's record; all of them, where a step was done again."""
    lowest: dict[int, int] = {}
    for step in steps:
        lowest[step.step] = min(step.rank, lowest.get(step.step, step.rank))
    return (step for step in steps if step.rank == lowest[step.step])
