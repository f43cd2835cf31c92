"""How the file is opened. One connection a transaction, closed after it: nothing is held for the hour of a burn.

Transactions are begun here and not by `sqlite3`, whose own way leaves CREATE TABLE outside of them. One that will
write takes the write lock at its beginning (BEGIN IMMEDIATE), so that waiting for another writer happens once, there,
and never in the middle, where SQLite would refuse instead of wait.
"""

import errno
import logging
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from watchdog.store.directory import LOG_BYTES, free_bytes

log = logging.getLogger(__name__)

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700


def make_file(path: Path) -> None:
    """Make the directory and an empty file where there is none, for this user alone; what exists is left as it is.

    Raises `OSError`, also for what exists and can't be written: SQLite would quietly open that read-only.
    """
    if not path.parent.is_dir():
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    except FileExistsError:
        # Never opened here: closing it would drop the locks that SQLite holds on it elsewhere in this process.
        _check_existing(path)
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    sync_directory(path.parent)


def _check_existing(path: Path) -> None:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    for place in (path, path.parent):
        if not os.access(place, os.W_OK, effective_ids=True):
            is_read_only = os.statvfs(place).f_flag & os.ST_RDONLY
            code = errno.EROFS if is_read_only else errno.EACCES
            raise OSError(code, os.strerror(code))


def sync_directory(directory: Path) -> None:
    """Have what was made, renamed or removed in `directory` survive a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_engine(path: Path, *, patience_seconds: float, read_only: bool = False) -> Engine:
    """An engine whose connections keep to the rules above. Connects to nothing yet."""

    def connect() -> sqlite3.Connection:
        address = f"file:{quote(str(path))}?{_reading_options(path) if read_only else 'mode=rw'}"
        connection = sqlite3.connect(address, uri=True, timeout=patience_seconds, isolation_level=None)
        try:
            # FULL: a qualification is written once an hour and kept for ever: a power cut must not take the last one.
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _reading_options(path: Path) -> str:
    """`immutable` where the log's files can't be made and no writer has any: SQLite refuses to read WAL otherwise."""
    can_make_log = os.access(path.parent, os.W_OK, effective_ids=True) and free_bytes(path) >= LOG_BYTES
    return "mode=ro" if can_make_log or path.with_name(path.name + "-wal").exists() else "mode=ro&immutable=1"


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one state of the database for the length of the block."""
    with engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection that holds the write lock; commits at the end of the block, rolls back on any error."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


def set_journal(path: Path, journal: str, patience_seconds: float) -> None:
    """Switch the file to `journal` (``wal`` or ``delete``), which the file remembers; raises `sqlite3.Error`.

    An empty file also becomes one that can shrink (PRAGMA incremental_vacuum), which only an empty one can become.
    Retries by itself: SQLite's busy handler isn't asked when two processes switch a new file at once.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=patience_seconds)
        try:
            if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
                connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != journal:
                connection.execute(f"PRAGMA journal_mode={journal}")
            return
        except sqlite3.OperationalError as error:
            busy = (error.sqlite_errorcode & 0xFF) == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() >= deadline:
                raise
            time.sleep(0.02)
        finally:
            connection.close()


def make_shrinkable(path: Path, patience_seconds: float) -> None:
    """Rewrite a file that was made before files could shrink, if there is room for a copy and nobody uses it now.

    Otherwise it stays as it is: its free pages are used again, and are only not given back to the file system.
    """
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw", uri=True, timeout=patience_seconds, isolation_level=None
    )
    try:
        if connection.execute("PRAGMA auto_vacuum").fetchone()[0] == 0:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        log.info("file can't be made to shrink path=%s error=%s", path, error)
    finally:
        connection.close()
