"""`Writer`: the one thread that writes what the daemon keeps, in one transaction a second.

submit -> queue (bounded) -> thread -> BEGIN IMMEDIATE, all that waits, COMMIT (fsync) -> futures

A future is resolved only after the commit: what is acknowledged survives a kill and a power cut. What was submitted
together is committed together. While the disk is full or fails, everything waits and is tried again; then

- readings are dropped first, oldest first, and counted;
- everything else is never dropped in silence: once too much waits, `submit` refuses, and its future says so.

The thread ends at `close` alone, whatever fails.
"""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Self

from sqlalchemy import Connection

from watchdog.store.connection import make_engine
from watchdog.store.database import Store
from watchdog.store.faults import cause_of, explained, is_of_the_disk
from watchdog.store.items import Item
from watchdog.store.queue import Queue, Submission
from watchdog.store.watch_writing import Pen
from watchdog.vocabulary.errors import StoreError

log = logging.getLogger(__name__)

LOCK_PATIENCE_SECONDS = 5.0
"""How long a commit waits for another writer, before that is reported. Others hold the lock for well under a second."""
LONGEST_PAUSE_SECONDS = 30.0
"""Between attempts while the disk fails: short enough that what was lost in between is little."""
_FIRST_PAUSE_SECONDS = 0.5
_WAL_PAGES = 400
"""The log is copied into the file whenever it has so many pages: a minute's, at a few pages a second."""
_WAL_BYTES = 2 << 20
"""It is cut to this after that; a reader that stays for long may let it grow until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterStatus:
    """How the writer is doing. Counts are since its start."""

    commits_total: int = 0
    errors_total: int = 0
    """Attempts that failed."""
    items_total: int = 0
    """Items committed."""
    rows_dropped_total: int = 0
    """Readings dropped because too many waited."""
    items_refused_total: int = 0
    """Items other than readings that were not kept; whoever submitted them was told."""
    rows_waiting: int = 0
    items_waiting: int = 0
    """Other than readings."""
    last_commit_at: float | None = None
    """Unix seconds."""
    failing_since: float | None = None
    """None while all is well."""
    committing_since: float | None = None
    """None between commits; one that is long ago says that the disk hangs."""
    error: str = ""
    """One sentence with what to do, while it fails."""


class Writer:
    """The writer of one store. Submit from any thread; `submit` never blocks."""

    def __init__(self, store: Store, *, period_seconds: float = 1.0, queue: Queue | None = None) -> None:
        self._store = store
        self._period_seconds = period_seconds
        self._queue = queue or Queue()
        self._wake = threading.Condition()
        self._status = WriterStatus()
        self._is_urgent = self._is_closing = False
        self._failures = self._singly = 0  # in a row; submissions left to write one by one
        self._connection: Connection | None = None
        self._opened: tuple[int, int] | None = None
        self._pen = Pen()
        self._engine = make_engine(store.path, patience_seconds=LOCK_PATIENCE_SECONDS)
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> Self:
        """Begin to write."""
        self._thread.start()
        return self

    def submit(
        self, items: Sequence[Item], *, patience_seconds: float | None = None, at_once: bool = False
    ) -> "Future[None]":
        """Have `items` written in one transaction; the future resolves once they are on the disk.

        It fails with `StoreError` when they are not kept, nor will be: too much waits, they are readings that were
        dropped, they can't be written at all, or `patience_seconds` passed. It can't be cancelled; its callbacks run
        in the writer's thread and must be quick. `at_once` doesn't wait for the second to pass. Of items submitted
        together, the readings may be dropped and the others kept.
        """
        submission = Submission.of(items, None if patience_seconds is None else time.monotonic() + patience_seconds)
        with self._wake:
            if self._is_closing:
                submission.fail("the store's writer has ended")
            elif submission.is_empty:
                submission.future.set_result(None)
            else:
                self._queue.put(submission)
                self._is_urgent |= at_once or self._queue.is_due
                if self._is_urgent or (self._failures and patience_seconds is not None):
                    self._wake.notify_all()
        return submission.future

    def flush(self, timeout_seconds: float) -> bool:
        """Have all that waits written now; False where that didn't succeed in time."""
        with self._wake:
            waiting = self._queue.futures()
            self._is_urgent, self._failures = True, 0
            self._wake.notify_all()
        deadline = time.monotonic() + timeout_seconds
        for future in waiting:
            try:
                future.result(max(deadline - time.monotonic(), 0.0))
            except (StoreError, TimeoutError):
                return False
        return True

    def close(self, timeout_seconds: float) -> bool:
        """Write what waits, and end; False where something is left, whose futures then fail."""
        with self._wake:
            self._is_closing = True
            self._wake.notify_all()
        self._thread.join(timeout_seconds)
        with self._wake:
            left = self._queue.fail_all("the daemon ended before it could be written")
        return not left and not self._thread.is_alive()

    @property
    def status(self) -> WriterStatus:
        """How it is doing now."""
        with self._wake:
            return replace(
                self._status,
                rows_waiting=self._queue.rows_waiting,
                items_waiting=self._queue.items_waiting,
                rows_dropped_total=self._queue.rows_dropped_total,
                items_refused_total=self._queue.items_refused_total,
            )

    def _run(self) -> None:
        due = time.monotonic() + self._period_seconds
        while True:
            with self._wake:
                self._wait_until(due)
                is_last, self._is_urgent = self._is_closing, False
                count = self._queue.take(1 if self._singly else None)
            is_written = not count or self._try(count)
            with self._wake:
                if is_last and (self._queue.is_empty or not is_written):
                    break
                due = time.monotonic() + self._pause_seconds()
                self._is_urgent |= self._queue.is_due or self._singly > 0
        self._disconnect()

    def _wait_until(self, due: float) -> None:
        """Until it is time, or something asks for more haste while all is well; the caller holds the lock."""
        while not (self._is_closing or (self._is_urgent and not self._failures)):
            now = time.monotonic()
            patience_seconds = self._queue.withdraw(now)
            if now >= due:
                return
            self._wake.wait(min(due - now, patience_seconds))

    def _pause_seconds(self) -> float:
        if not self._failures:
            return self._period_seconds
        return min(_FIRST_PAUSE_SECONDS * 2.0 ** min(self._failures, 10), LONGEST_PAUSE_SECONDS)

    def _try(self, count: int) -> bool:
        """Commit the `count` submissions that are taken, or say why not; False where the disk failed."""
        try:
            self._commit()
        # The boundary of the writer: whatever fails, what waits must stay, and the thread must go on.
        except Exception as error:  # noqa: BLE001
            self._disconnect()
            return self._after_failure(count, error)
        with self._wake:
            self._queue.done()
            self._singly = max(self._singly - count, 0)
            if self._status.failing_since is not None:
                log.info("store written again path=%s attempts_failed=%d", self._store.path, self._failures)
            self._failures = 0
            self._status = replace(self._status, failing_since=None, error="")
        return True

    def _commit(self) -> None:
        with self._wake:
            items = self._queue.taken()
            self._status = replace(self._status, committing_since=time.time())
        with explained(self._store.path, "write", LOCK_PATIENCE_SECONDS):
            connection = self._connect()
            with connection.begin():
                self._pen.write(connection, items)
        with self._wake:
            self._status = replace(
                self._status,
                commits_total=self._status.commits_total + 1,
                items_total=self._status.items_total + len(items),
                last_commit_at=time.time(),
                committing_since=None,
            )

    def _after_failure(self, count: int, error: Exception) -> bool:
        is_disk = is_of_the_disk(error)
        with self._wake:
            self._status = replace(self._status, errors_total=self._status.errors_total + 1, committing_since=None)
            if is_disk:
                self._tell(error)
                self._queue.give_back()
            elif count > 1:  # one of them can't be written at all: find it, and keep the others
                self._queue.give_back()
                self._singly = count
            else:
                log.error("items rejected path=%s error=%s", self._store.path, cause_of(error))
                self._queue.reject(f"they can't be written ({cause_of(error)})")
                self._singly = max(self._singly - 1, 0)
        return not is_disk

    def _tell(self, error: Exception) -> None:
        if self._status.failing_since is None:
            log.error("store not written path=%s error=%s", self._store.path, error)
        self._failures += 1
        since = self._status.failing_since or time.time()
        self._status = replace(self._status, failing_since=since, error=str(error))

    def _connect(self) -> Connection:
        if self._connection is not None and self._file() != self._opened:
            self._disconnect()  # somebody moved the file away: what is written there would be found by nobody
        if self._connection is None:
            if self._file() is None:
                Store.open(self._store.path.parent, patience_seconds=LOCK_PATIENCE_SECONDS)
            self._opened = self._file()
            self._connection = self._engine.connect().execution_options(writes=True)
            driver = self._connection.connection.driver_connection
            assert driver is not None  # just connected
            driver.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
            driver.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}")
        return self._connection

    def _file(self) -> tuple[int, int] | None:
        """Which file is at the path now: its device and inode."""
        try:
            status = self._store.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _disconnect(self) -> None:
        """Forget the connection, and what was known of transactions that may not have been written."""
        connection, self._connection, self._pen = self._connection, None, Pen()
        if connection is not None:
            try:
                connection.close()
            # A connection that just failed may fail again while it is closed; a new one is made in any case.
            except Exception as error:  # noqa: BLE001
                log.debug("closing failed path=%s error=%s", self._store.path, error)
