"""A daemon must start, whatever state its file is in: a damaged one is set aside, and a new one begun.

Qualifications that can still be read are carried over. Nothing is deleted: the damaged file stays for a person.
"""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from watchdog.store import keeping
from watchdog.store.connection import make_engine, reading, sync_directory
from watchdog.store.database import FILE_NAME, PATIENCE_SECONDS, Store
from watchdog.store.faults import DamagedError, explained
from watchdog.store.packing import PackingError
from watchdog.store.tables import RUN
from watchdog.vocabulary.errors import StoreError

log = logging.getLogger(__name__)

CHECKED_BYTES = 1 << 30
"""Files up to this size are checked whole at start: some 3 s, and twenty times what a daemon's file grows to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A file that was damaged."""

    path: Path
    """Where it is now."""
    reason: str
    """One sentence, about the path where it was."""
    at: float
    """Unix seconds."""
    runs_saved: int
    """Qualifications carried over."""
    runs_lost: int | None
    """Those that can't be read; None where nobody can tell how many there were."""


def open_or_set_aside(
    directory: Path, now: float, *, patience_seconds: float = PATIENCE_SECONDS
) -> tuple[Store, SetAside | None]:
    """The store in `directory`; where it is damaged, a new one, and what became of the old.

    Raises `StoreError` for what is no damage: no room, no permission, another program's file, a newer Fryer's.
    """
    try:
        return Store.open(directory, patience_seconds=patience_seconds, checked_bytes=CHECKED_BYTES), None
    except DamagedError as error:
        reason = str(error)
    path = directory.expanduser().absolute() / FILE_NAME
    with explained(path, "set aside", patience_seconds):
        aside = _rename(path, now)
    log.error("store set aside path=%s reason=%s", aside, reason)
    store = Store.open(directory, patience_seconds=patience_seconds)
    saved, lost = _save_runs(aside, store)
    return store, SetAside(path=aside, reason=reason, at=now, runs_saved=saved, runs_lost=lost)


def _rename(path: Path, now: float) -> Path:
    """Rename the file and its log, which belongs to it alone: beside a new file it would damage that one too."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    for suffix in ("-wal", "-shm", "-journal", ""):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + suffix))
    sync_directory(path.parent)
    return aside


def _save_runs(aside: Path, store: Store) -> tuple[int, int | None]:
    """(qualifications carried over to `store`, those that could not be)."""
    engine = make_engine(aside, patience_seconds=store.patience_seconds, read_only=True)
    try:
        with reading(engine) as connection:
            names = list(connection.scalars(select(RUN.c.id).order_by(RUN.c.started_epoch_seconds)))
    except SQLAlchemyError:
        return 0, None
    saved = 0
    for name in names:
        try:
            with reading(engine) as connection:
                run = keeping.read_run(connection, name)
            store.add(run)
            saved += 1
        # whatever a damaged file gives: SQLite's complaint, no such run after all, or values that are none
        except (SQLAlchemyError, PackingError, StoreError, LookupError, TypeError, ValueError) as error:
            log.warning("qualification lost run=%s error=%s", name, error)
    return saved, len(names) - saved
