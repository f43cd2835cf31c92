"""A daemon starts whatever became of its file; what can be read of the qualifications is carried over."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from watchdog.store import Keep, Store, StoredRun, WatchLog, open_or_set_aside
from watchdog.store.connection import writing
from watchdog.store.watch_writing import Pen
from watchdog.vocabulary.errors import StoreError

NOW = 1_700_000_000.0
ASIDE = "fryer.db.corrupt-20231114T221320Z"


@pytest.fixture
def filled(tmp_path: Path, with_id: Callable[[str], StoredRun]) -> Store:
    store = Store.open(tmp_path)
    for number in range(60):
        store.add(with_id(f"r{number:02}"))
    return store


def spoil_newest_devices(path: Path) -> None:
    """Damage the last leaf of the table of devices, so that some runs can be read and some can't."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'device_result'").fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        page = file.read(12)
        assert page[0] == 5  # an interior page, whose right-most child follows: https://sqlite.org/fileformat.html
        file.seek((int.from_bytes(page[8:12], "big") - 1) * 4096)
        file.write(b"\xff" * 4096)


def test_a_good_file_is_opened(filled: Store) -> None:
    store, aside = open_or_set_aside(filled.path.parent, NOW)
    assert aside is None
    assert len(store.runs()) == 60


def test_a_file_that_is_not_there_is_made(tmp_path: Path) -> None:
    store, aside = open_or_set_aside(tmp_path / "new", NOW)
    assert (store.path, aside) == (tmp_path / "new" / "fryer.db", None)


@pytest.mark.parametrize("content", [b"junk" * 2000, b"not a database"])
def test_what_is_no_database_is_set_aside_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fryer.db").write_bytes(content)
    (tmp_path / "fryer.db-wal").write_bytes(b"log")
    store, aside = open_or_set_aside(tmp_path, NOW)
    assert aside is not None
    assert (aside.path, aside.at, aside.runs_saved, aside.runs_lost) == (tmp_path / ASIDE, NOW, 0, None)
    assert aside.reason.startswith(f"{tmp_path}/fryer.db is damaged or no database (SQLite: ")
    assert (tmp_path / ASIDE).read_bytes() == content
    assert store.runs() == []


def test_what_can_be_read_of_the_qualifications_is_carried_over(filled: Store, run: StoredRun) -> None:
    connection = sqlite3.connect(filled.path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    # a page of an index that no question about runs goes through: SQLite tells of it, and the runs are all there
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_event_at'").fetchone()
    connection.close()
    with filled.path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 4096)
    store, aside = open_or_set_aside(filled.path.parent, NOW)
    assert aside is not None
    assert (aside.runs_saved, aside.runs_lost) == (60, 0)
    assert len(store.runs()) == 60
    assert store.load("r07").nodes == run.nodes


def test_runs_that_can_not_be_read_are_counted(filled: Store) -> None:
    spoil_newest_devices(filled.path)
    store, aside = open_or_set_aside(filled.path.parent, NOW)
    assert aside is not None
    assert aside.runs_lost is not None
    assert aside.runs_saved + aside.runs_lost == 60
    assert 0 < aside.runs_saved < 60
    assert sorted(run.run_id for run in store.runs()) == [f"r{number:02}" for number in range(aside.runs_saved)]


def test_a_second_damaged_file_does_not_replace_the_first(tmp_path: Path) -> None:
    for content in (b"one" * 3000, b"two" * 3000):
        (tmp_path / "fryer.db").write_bytes(content)
        open_or_set_aside(tmp_path, NOW)
    assert (tmp_path / ASIDE).read_bytes() == b"one" * 3000
    assert (tmp_path / f"{ASIDE}-2").read_bytes() == b"two" * 3000


def test_a_new_file_works_for_the_daemon(tmp_path: Path) -> None:
    (tmp_path / "fryer.db").write_bytes(b"junk" * 2000)
    store, _ = open_or_set_aside(tmp_path, NOW)
    with writing(store.engine) as connection:
        Pen().write(connection, [Keep(key="book", value=1)])
    assert WatchLog(store).remembered(0.0).values == {"book": 1}


def test_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "fryer.db")
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="is a database of another program"):
        open_or_set_aside(tmp_path, NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["fryer.db"]


def test_a_full_disk_is_no_damage(disk: Path, fill: Callable[[Path], None]) -> None:
    Store.open(disk)
    fill(disk)
    with pytest.raises(StoreError, match="no room left"):
        open_or_set_aside(disk, NOW)
    assert sorted(path.name for path in disk.iterdir() if "corrupt" in path.name) == []
