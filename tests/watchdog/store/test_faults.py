"""Each way in which a database can't be opened is one sentence with what to do, and nothing that exists is lost."""

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from watchdog.store import Store, StoredRun
from watchdog.store.tables import SCHEMA
from watchdog.vocabulary.errors import StoreError

ELSEWHERE = "choose another directory with --state DIR or FRYER_STATE_DIRECTORY"


def content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob("*") if path.is_file()}


def refused(directory: Path) -> str:
    """The sentence with which opening fails, leaving every file as it was."""
    before = content(directory)
    with pytest.raises(StoreError) as caught:
        Store.open(directory, patience_seconds=0.2)
    after = content(directory)
    assert {name: after[name] for name in before} == before
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_a_directory_under_a_file_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "state"):
        assert refused(directory) == (
            f"can't open {directory}/fryer.db: {directory} is no directory, or lies under a file; {ELSEWHERE}"
        )


def test_a_database_that_is_a_directory_says_so(tmp_path: Path) -> None:
    (tmp_path / "fryer.db").mkdir()
    assert refused(tmp_path) == (f"can't open {tmp_path}/fryer.db: it is a directory; move it away, or {ELSEWHERE}")


def test_a_database_that_is_a_socket_says_so(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "fryer.db"))
        assert refused(tmp_path) == f"can't open {tmp_path}/fryer.db: it is no regular file; {ELSEWHERE}"


def test_a_read_only_directory_says_so(disk: Path, make_read_only: Callable[[Path], None]) -> None:
    make_read_only(disk)
    expected = "can't open {0}/fryer.db: Read-only file system; make {0} writable for this user, or " + ELSEWHERE
    assert refused(disk) == expected.format(disk)
    assert refused(disk / "state") == expected.format(disk / "state")


def test_a_read_only_database_says_so_and_can_still_be_read(
    disk: Path, make_read_only: Callable[[Path], None], run: StoredRun
) -> None:
    Store.open(disk).add(run)
    make_read_only(disk)
    assert refused(disk) == (
        f"can't open {disk}/fryer.db: Read-only file system; make {disk} writable for this user, or {ELSEWHERE}"
    )
    assert Store.open_to_read(disk).load("r1") == run


@pytest.fixture
def as_user() -> Iterator[Path]:
    """A directory that a user may enter and not write, for a process that is that user: a mode doesn't stop root."""
    directory = Path(tempfile.mkdtemp())
    Store.open(directory / "private")
    (directory / "public").mkdir()
    directory.chmod(0o755)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    else:
        (directory / "public").chmod(0o500)
        (directory / "private").chmod(0)
    yield directory
    os.seteuid(was)
    (directory / "private").chmod(0o700)
    shutil.rmtree(directory)


def test_a_directory_of_another_user_says_so(as_user: Path) -> None:
    public, private = as_user / "public", as_user / "private"
    denied = "can't {0} {1}/fryer.db: Permission denied; "
    allow = "make {0} writable for this user, or " + ELSEWHERE
    for directory in (public, private):
        with pytest.raises(StoreError) as caught:
            Store.open(directory)
        assert str(caught.value) == denied.format("open", directory) + allow.format(directory)
    with pytest.raises(StoreError) as caught:
        Store.open_to_read(private)
    assert str(caught.value) == denied.format("read", private) + (
        f"ask as the user who owns it (`stat -c %U {private}` as root), or {ELSEWHERE}"
    )


def test_a_full_disk_says_so_before_anything_is_burnt(disk: Path, fill: Callable[[Path], None], run: StoredRun) -> None:
    Store.open(disk).add(run)
    fill(disk)
    assert refused(disk).endswith(
        f"{disk}/fryer.db: no room left on its file system (0 bytes free); free some "
        f"(`df {disk}`; a quota counts too), or {ELSEWHERE}"
    )
    (disk / "filler").unlink()
    assert Store.open(disk).load("r1") == run


def test_a_full_disk_can_hold_no_new_store(disk: Path, fill: Callable[[Path], None]) -> None:
    fill(disk)
    with pytest.raises(StoreError, match=r"no room left on its file system \(0 bytes free\)"):
        Store.open(disk)


def test_a_disk_with_too_little_room_is_full(disk: Path, run: StoredRun) -> None:
    """The file itself fits, a result might not: said now, and not in an hour."""
    (disk / "filler").write_bytes(bytes(3 << 20))
    with pytest.raises(StoreError, match=f"can't write {disk}/fryer.db: no room left on its file system"):
        Store.open(disk)
    (disk / "filler").unlink()
    Store.open(disk).add(run)


def test_a_disk_that_fills_later_keeps_what_it_has(disk: Path, fill: Callable[[Path], None], run: StoredRun) -> None:
    store = Store.open(disk)
    store.add(run)
    fill(disk)
    with pytest.raises(StoreError, match="no room left"):
        store.add(replace(run, run_id="r2", command="x" * (5 << 20)))
    (disk / "filler").unlink()
    assert [each.run_id for each in Store.open(disk).runs()] == ["r1"]


def test_a_full_disk_can_still_be_read(disk: Path, fill: Callable[[Path], None], run: StoredRun) -> None:
    Store.open(disk).add(run)
    fill(disk)
    assert Store.open_to_read(disk).load("r1") == run


def spoil_random(path: Path) -> None:
    path.write_bytes(bytes(range(1, 256)) * 40)


def spoil_short(path: Path) -> None:
    path.write_bytes(b"not a database")


def spoil_truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def spoil_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"SQLate")


def spoil_page_size(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(16)
        file.write(b"\x00\x03")


def spoil_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xff" * 3 * 4096)


SPOILERS = [spoil_random, spoil_short, spoil_truncated, spoil_header, spoil_page_size, spoil_pages]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_a_damaged_file_is_left_as_it_is_and_the_advice_works(
    tmp_path: Path, spoil: Callable[[Path], None], run: StoredRun
) -> None:
    directory = tmp_path / "it's state"
    store = Store.open(directory)
    store.add(run)
    spoil(store.path)
    damaged = store.path.read_bytes()
    sentence = refused(directory)
    assert sentence.startswith(f"{store.path} is damaged or no database (SQLite: ")
    with pytest.raises(StoreError, match="is damaged or no database"):
        Store.open_to_read(directory)
    (directory / "fryer.db-wal").write_bytes(b"a log that belongs to the damaged file")
    advice = sentence.split("`")[1]
    subprocess.run(advice, shell=True, check=True)
    assert Store.open(directory).runs() == []
    assert (directory / "damaged" / "fryer.db").read_bytes() == damaged


def test_a_damaged_series_is_no_crash(tmp_path: Path, run: StoredRun) -> None:
    store = Store.open(tmp_path)
    store.add(run)
    connection = sqlite3.connect(store.path)
    connection.execute("UPDATE series SET points = x'00ff'")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match=r"fryer.db is damaged or no database \(a series of 2 bytes can't be unpacked"):
        store.load("r1")


def test_a_newer_fryers_database_is_left_alone(tmp_path: Path, run: StoredRun) -> None:
    store = Store.open(tmp_path)
    store.add(run)
    connection = sqlite3.connect(store.path)
    connection.execute("UPDATE alembic_version SET version_num = '0099'")
    connection.commit()
    connection.close()
    sentence = (
        f"{tmp_path}/fryer.db was made by a newer Fryer (schema 0099, this one knows up to {SCHEMA}), and is left "
        f"as it is; update Fryer (`pip install -U fryer`), or {ELSEWHERE}"
    )
    assert refused(tmp_path) == sentence
    with pytest.raises(StoreError, match="made by a newer Fryer"):
        Store.open_to_read(tmp_path)


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "fryer.db")
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.commit()
    connection.close()
    assert refused(tmp_path) == (
        f"{tmp_path}/fryer.db is a database of another program, and is left as it is; {ELSEWHERE}"
    )


def test_a_database_that_another_keeps_locked_says_how_to_find_it(tmp_path: Path, run: StoredRun) -> None:
    store = Store.open(tmp_path)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError) as caught:
        Store.open(tmp_path, patience_seconds=0.2)
    assert str(caught.value) == (
        f"can't write {store.path}: another process has kept it locked for 0.2 s; `fuser -v {store.path}` shows which, "
        f"wait for it or end it, and try again"
    )
    other.execute("ROLLBACK")
    other.close()
    store.add(run)
