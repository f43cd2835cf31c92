"""The migrations make what the tables say, and one that fails leaves the file as it was."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from watchdog.store import Store, StoredRun
from watchdog.store.connection import make_engine, make_file, reading, writing
from watchdog.store.migrations import SCRIPTS, configuration, migrate
from watchdog.store.tables import APPLICATION_ID, SCHEMA
from watchdog.store.watch_tables import METADATA

NEXT = '''
"""A next step, for a test."""
import sqlalchemy as sa
from alembic import op
revision = "9999"
down_revision = "{down}"

def upgrade():
    op.create_table("extra", sa.Column("id", sa.Integer, primary_key=True))
    op.add_column("run", sa.Column("note", sa.Text))
    op.execute("UPDATE run SET command = 'rewritten'")
    {last}
'''


@pytest.fixture
def store(tmp_path: Path, run: StoredRun) -> Store:
    store = Store.open(tmp_path / "state")
    store.add(run)
    return store


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    copy = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


def test_the_migrations_make_the_tables_that_the_program_uses(store: Store) -> None:
    with reading(store.engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_the_program_knows_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(configuration()).get_heads() == [SCHEMA]


def test_the_file_says_whose_it_is(store: Store) -> None:
    assert APPLICATION_ID.to_bytes(4, "big") == b"FRYR"
    assert store.path.read_bytes()[68:72] == b"FRYR"  # offset: https://sqlite.org/fileformat.html#application_id


def test_a_failed_migration_leaves_the_file_as_it_was(store: Store, scripts: Path, run: StoredRun) -> None:
    (scripts / "versions" / "9999_next.py").write_text(NEXT.format(down=SCHEMA, last='raise OSError("power cut")'))
    before = dump(store.path)
    with pytest.raises(OSError, match="power cut"), writing(store.engine) as connection:
        migrate(connection, scripts)
    assert dump(store.path) == before
    assert Store.open(store.path.parent).load("r1") == run


def test_a_migration_keeps_what_is_there(store: Store, scripts: Path) -> None:
    (scripts / "versions" / "9999_next.py").write_text(NEXT.format(down=SCHEMA, last="pass"))
    with writing(store.engine) as connection:
        migrate(connection, scripts)
    connection = sqlite3.connect(store.path)
    assert connection.execute("SELECT id, command, note FROM run").fetchall() == [("r1", "rewritten", None)]
    assert connection.execute("SELECT count(*) FROM series").fetchone() == (1,)
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]
    connection.close()


def test_migrating_twice_changes_nothing(store: Store) -> None:
    before = dump(store.path)
    with writing(store.engine) as connection:
        migrate(connection)
    assert dump(store.path) == before


def make_first(directory: Path) -> Path:
    """A file of the first schema, with a run."""
    path = directory / "fryer.db"
    make_file(path)
    with writing(make_engine(path, patience_seconds=5.0)) as connection:
        command.upgrade(configuration(connection), "0001")
        connection.exec_driver_sql(
            "INSERT INTO run VALUES ('old', '2026-01-01T00:00:00Z', 1767225600.0, 'fryer run', 1.0, 'PASS', '{}', '0')"
        )
    set_wal = sqlite3.connect(path)
    set_wal.execute("PRAGMA journal_mode=WAL")
    set_wal.close()
    return path


def test_a_file_of_the_first_schema_keeps_what_it_has_and_can_shrink_from_then_on(tmp_path: Path) -> None:
    """Files of that schema were made without auto_vacuum, which only a rewrite of the whole file brings."""
    path = make_first(tmp_path)
    assert [run.run_id for run in Store.open(tmp_path).runs()] == ["old"]
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (SCHEMA,)
    assert connection.execute("SELECT count(*) FROM tick").fetchone() == (0,)
    connection.close()


def test_a_file_that_is_being_read_is_migrated_and_rewritten_another_time(tmp_path: Path) -> None:
    old = sqlite3.connect(make_first(tmp_path), isolation_level=None)
    old.execute("BEGIN")
    assert old.execute("SELECT count(*) FROM run").fetchone() == (1,)
    assert [run.run_id for run in Store.open(tmp_path, patience_seconds=0.1).runs()] == ["old"]
    old.close()
