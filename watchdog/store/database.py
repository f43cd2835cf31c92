"""`Store`: the one file that qualifications are kept in, opened, proved writable, written and asked.

Every method opens the file, does one transaction and closes it, so a `Store` may be kept for days, used from any
thread, and used by many processes at once. Each raises `StoreError` in one sentence when the file or its disk fails.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, insert, inspect, select

from watchdog.store import comparing, keeping, queries
from watchdog.store.connection import make_engine, make_file, make_shrinkable, reading, set_journal, writing
from watchdog.store.directory import is_on_network
from watchdog.store.faults import DamagedError, damaged, explained, foreign, newer
from watchdog.store.migrations import migrate
from watchdog.store.rows import Figure, Outcome, RunSummary, StoredNode, StoredRun
from watchdog.store.tables import APPLICATION_ID, PROBE, RUN, SCHEMA
from watchdog.vocabulary.errors import StoreError, UsageError

FILE_NAME = "fryer.db"
PATIENCE_SECONDS = 30.0
"""How long to wait for another writer: writing a run takes well under a second, so this is many writers in a row."""
ROOM_BYTES = 1 << 20
"""What `check_writable` writes: about what an hour on eight GPUs takes."""
_CHECKED_BYTES = 64 << 20
"""Files up to this size are checked whole when opened (0.1 s); larger ones only where they are read."""


@dataclass(frozen=True, slots=True)
class Store:
    """An open store. Make one with `Store.open`, or `Store.open_to_read`."""

    path: Path
    engine: Engine
    patience_seconds: float = PATIENCE_SECONDS

    @classmethod
    def open(
        cls, directory: Path, *, patience_seconds: float = PATIENCE_SECONDS, checked_bytes: int = _CHECKED_BYTES
    ) -> "Store":
        """Open `directory`/fryer.db for writing; make it, or bring it up to date, first. Raises `StoreError`.

        Proves that it can be written (`check_writable`), so that it is known before an hour's burn and not after.
        A file of up to `checked_bytes` is checked whole. Whatever fails, what was there before is left as it was;
        `DamagedError` is the `StoreError` of a file that is no database, or a damaged one.
        """
        path = _absolute(directory) / FILE_NAME
        with explained(path, "open", patience_seconds):
            make_file(path)
            store = cls(path, make_engine(path, patience_seconds=patience_seconds), patience_seconds)
            with reading(store.engine) as connection:
                schema = _known_schema(connection, path)
            set_journal(path, "delete" if is_on_network(path) else "wal", patience_seconds)
            if schema != SCHEMA:
                store._migrate()
            store._check_whole(checked_bytes)
            if schema is not None and schema != SCHEMA and path.stat().st_size <= _CHECKED_BYTES:
                make_shrinkable(path, patience_seconds)
        store.check_writable()
        return store

    @classmethod
    def open_to_read(cls, directory: Path, *, patience_seconds: float = PATIENCE_SECONDS) -> "Store":
        """Open it for reading, which also works on a read-only or full disk.

        Raises `UsageError` where there is none, `StoreError` where it can't be read.
        """
        path = _absolute(directory) / FILE_NAME
        with explained(path, "read", patience_seconds):
            if not path.exists():
                raise UsageError(
                    f"no results are kept in {path.parent} yet: `fryer run` makes the first; if they are "
                    f"elsewhere, say so with --state DIR"
                )
            engine = make_engine(path, patience_seconds=patience_seconds, read_only=True)
            store = cls(path, engine, patience_seconds)
            with reading(engine) as connection:
                schema = _known_schema(connection, path)
            store._check_whole()
        if schema != SCHEMA:
            return cls.open(directory, patience_seconds=patience_seconds)
        return store

    def check_writable(self, num_bytes: int = ROOM_BYTES) -> None:
        """Prove that a result of `num_bytes` can be kept now: commit so much, and take it out again.

        A transaction that is rolled back would prove nothing, since SQLite writes it nowhere.
        """
        with self._explained("write"):
            with writing(self.engine) as connection:
                connection.execute(insert(PROBE).values(room=bytes(num_bytes)))
            with writing(self.engine) as connection:
                connection.execute(delete(PROBE))  # all of them: one may be left of a process that was killed here

    def add(self, run: StoredRun, more_nodes: Iterable[StoredNode] = ()) -> None:
        """Keep `run`, whole or not at all, and on the disk when this returns; `more_nodes` come after its own.

        Raises `StoreError` where a run of this id is kept already, `ValueError` for a run that contradicts itself.
        """
        with self._explained("write"), writing(self.engine) as connection:
            if connection.execute(select(RUN.c.id).where(RUN.c.id == run.run_id)).first():
                raise StoreError(f"run {run.run_id} is kept in {self.path} already, and a result is never changed")
            keeping.insert_run(connection, run, more_nodes)

    def has(self, run_id: str) -> bool:
        """Whether the run with this whole id is kept."""
        with self._asking() as connection:
            return self._has(connection, run_id)

    def load(self, start: str) -> StoredRun:
        """The one run whose id starts with `start`; raises `UsageError` where there is none, or more than one."""
        with self._asking() as connection:
            return keeping.read_run(connection, queries.find_run(connection, start))

    def runs(self, limit: int | None = None) -> list[RunSummary]:
        """The newest `limit` runs (all when None), newest first."""
        with self._asking() as connection:
            return queries.runs(connection, limit)

    def newest_of_devices(
        self, uuids: Collection[str], *, is_simulated: bool = False, before: str | None = None
    ) -> list[Figure]:
        """For each device, the newest figure of each burn, case and metric in which it ended PASS or WARN.

        The newest steady one and the newest of the others (`Figure.is_steady`), where there are both.
        `before` (ISO 8601) leaves out runs that started then or later.
        """
        with self._asking() as connection:
            return queries.newest_of_devices(connection, uuids, is_simulated=is_simulated, before=before)

    def newest_of_parts(
        self,
        parts: Collection[str],
        *,
        excluding: Collection[str] = (),
        is_simulated: bool = False,
        before: str | None = None,
    ) -> list[Figure]:
        """The same for every device of these parts but for the UUIDs in `excluding`."""
        with self._asking() as connection:
            return queries.newest_of_parts(connection, parts, excluding, is_simulated=is_simulated, before=before)

    def find(self, start: str) -> str:
        """The whole id of the one run whose id starts with `start`; raises `UsageError`."""
        with self._asking() as connection:
            return queries.find_run(connection, start)

    def outcomes(self, run_id: str) -> list[Outcome]:
        """Each node of the run with this whole id, beside its last run before; empty for a run that isn't kept."""
        with self._asking() as connection:
            return comparing.outcomes(connection, run_id) if self._has(connection, run_id) else []

    def history(self, *, node: str | None = None, uuid: str | None = None, burn: str | None = None) -> list[Figure]:
        """Every figure of what is given, oldest run first. A UUID may be cut short.

        Raises `UsageError` for a node or UUID of which nothing is kept, and for a UUID that is cut too short.
        """
        with self._asking() as connection:
            return queries.history(
                connection,
                burn=burn,
                node=None if node is None else queries.find_node(connection, node),
                uuid=None if uuid is None else queries.find_uuid(connection, uuid),
            )

    def _has(self, connection: Connection, run_id: str) -> bool:
        return connection.execute(select(RUN.c.id).where(RUN.c.id == run_id)).first() is not None

    def _explained(self, doing: str) -> AbstractContextManager[None]:
        return explained(self.path, doing, self.patience_seconds)

    @contextmanager
    def _asking(self) -> Iterator[Connection]:
        with self._explained("read"), reading(self.engine) as connection:
            yield connection

    def _migrate(self) -> None:
        # Another process may have done it between our look and the lock; then `upgrade` finds nothing to do.
        with writing(self.engine) as connection:
            migrate(connection)

    def _check_whole(self, checked_bytes: int = _CHECKED_BYTES) -> None:
        if self.path.stat().st_size > checked_bytes:
            return
        with reading(self.engine) as connection:
            first = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        if first != "ok":
            raise DamagedError(damaged(self.path, f"SQLite: {first}"))


def _absolute(directory: Path) -> Path:
    return directory.expanduser().absolute()


def _known_schema(connection: Connection, path: Path) -> str | None:
    """Schema of the file, None for an empty one; raises `StoreError` for another program's and a newer Fryer's."""
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if connection.exec_driver_sql("PRAGMA application_id").scalar_one() != APPLICATION_ID:
        raise StoreError(foreign(path))
    found = str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one())
    if found > SCHEMA:
        raise StoreError(newer(path, found, SCHEMA))
    return found
