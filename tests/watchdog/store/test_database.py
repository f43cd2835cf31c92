"""What is kept comes back, whatever becomes of the processes that write."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from watchdog.store import Store, StoredRun
from watchdog.store.connection import reading, set_journal
from watchdog.vocabulary.errors import UsageError
from watchdog.vocabulary.verdicts import Verdict

ROOT = Path(__file__).parents[3]

WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, "tests/watchdog/store")
from conftest import RUN
from watchdog.store import Store
name, directory, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
for index in range(count):
    store = Store.open(directory) if index % 5 == 0 else store
    store.add(replace(RUN, run_id=f"{name}-{index:04}"))
    print(index, flush=True)
"""


def start_writer(name: str, directory: Path, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, name, str(directory), str(count)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_new_store_is_this_users_alone(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "a" / "b")
    assert store.path == tmp_path / "a" / "b" / "fryer.db"
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.path.parent.stat().st_mode & 0o777 == 0o700


def test_what_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Store.open(tmp_path).path.chmod(0o644)
    store = Store.open(tmp_path)
    assert store.path.stat().st_mode & 0o777 == 0o644
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_commit_is_on_the_disk_and_rows_have_owners(tmp_path: Path) -> None:
    with reading(Store.open(tmp_path).engine) as connection:
        settings = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings == ["wal", 2, 1]  # 2 is FULL: https://sqlite.org/pragma.html#pragma_synchronous


def test_opening_again_changes_nothing(tmp_path: Path, run: StoredRun) -> None:
    Store.open(tmp_path).add(run)
    assert Store.open(tmp_path).load("r1") == run
    assert [path.name for path in tmp_path.iterdir()] == ["fryer.db"]


def test_an_odd_path_is_a_path(tmp_path: Path, run: StoredRun) -> None:
    directory = tmp_path / "50% of it?#mode=ro é"
    Store.open(directory).add(run)
    assert Store.open_to_read(directory).load("r1") == run


def test_where_the_file_system_is_shared_the_journal_is_too(tmp_path: Path, run: StoredRun) -> None:
    """SQLite's write-ahead log is shared memory, so on a network file system it loses data."""
    store = Store.open(tmp_path)
    set_journal(store.path, "delete", 1.0)
    store.add(run)
    connection = sqlite3.connect(store.path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()
    assert store.load("r1") == run


def test_the_proof_of_room_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    size = store.path.stat().st_size
    for _ in range(3):
        store.check_writable()
    assert store.path.stat().st_size == size
    with reading(store.engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM probe").scalar_one() == 0


def test_reading_a_store_that_is_not_there_makes_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"no results are kept in {tmp_path}/x yet: `fryer run` makes the first"):
        Store.open_to_read(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_reading_an_empty_file_makes_it_a_store(tmp_path: Path) -> None:
    """A process that was killed between making the file and its tables leaves one."""
    (tmp_path / "fryer.db").touch()
    assert Store.open_to_read(tmp_path).runs() == []


def test_runs_are_listed_newest_first_with_their_size(tmp_path: Path, run: StoredRun) -> None:
    store = Store.open(tmp_path)
    other = replace(run.nodes[0], node="n2", devices=(), measurements=())
    store.add(run)
    store.add(replace(run, run_id="r2", started_at="2026-01-01T01:00:00+02:00", nodes=(*run.nodes, other)))
    store.add(replace(run, run_id="r3", started_at="2026-01-01T00:00:01Z", nodes=()))
    assert [(each.run_id, each.nodes, each.num_devices, each.verdict) for each in store.runs()] == [
        ("r3", (), 0, Verdict.WARN),
        ("r1", ("n1",), 1, Verdict.WARN),
        ("r2", ("n1", "n2"), 1, Verdict.WARN),
    ]
    assert [each.run_id for each in store.runs(limit=1)] == ["r3"]


def test_a_device_is_found_by_the_start_of_its_uuid(tmp_path: Path, run: StoredRun) -> None:
    store = Store.open(tmp_path)
    node = run.nodes[0]
    store.add(run)
    store.add(replace(run, run_id="r2", nodes=(replace(node, devices=(replace(node.devices[0], uuid="GPU-1b"),)),)))
    for start in ("GPU-1a", "gpu-1A", "1a"):
        assert [figure.run_id for figure in store.history(uuid=start)] == ["r1"]
    for start in ("GPU-1", "1", "GPU-"):
        with pytest.raises(UsageError, match=f"'{start}' begins more than one device: GPU-1a, GPU-1b; give more of it"):
            store.history(uuid=start)
    with pytest.raises(UsageError, match="no result of a device 'GPU-1aa' is kept; did you mean 'GPU-1a'"):
        store.history(uuid="GPU-1aa")
    with pytest.raises(UsageError, match="no result of a device '' is kept"):
        store.history(uuid="")


def test_history_is_that_of_the_selection_oldest_first(tmp_path: Path, run: StoredRun) -> None:
    store = Store.open(tmp_path)
    store.add(replace(run, run_id="late", started_at="2026-01-02T00:00:00Z"))
    store.add(replace(run, run_id="early", started_at="2026-01-01T00:00:00Z"))
    figures = store.history(node="n1", burn="gemm")
    assert [(figure.run_id, figure.value, figure.uuid, figure.verdict) for figure in figures] == [
        ("early", 7e14, "GPU-1a", Verdict.WARN),
        ("late", 7e14, "GPU-1a", Verdict.WARN),
    ]
    assert store.history(burn="hbm") == []
    with pytest.raises(UsageError, match="no result of a node 'n11' is kept; did you mean 'n1'"):
        store.history(node="n11")


def test_many_devices_can_be_asked_for_at_once(tmp_path: Path, run: StoredRun) -> None:
    """SQLite takes 32,766 values in a statement, and the largest clusters have more devices."""
    store = Store.open(tmp_path)
    store.add(run)
    figures = store.newest_of_devices([f"GPU-{number}" for number in range(40_000)] + ["GPU-1a"])
    assert [figure.uuid for figure in figures] == ["GPU-1a"]


def test_processes_that_write_at_once_all_succeed(tmp_path: Path) -> None:
    """Also where all of them find no database, and each wants to make it."""
    writers = [start_writer(name, tmp_path, 6) for name in "abcd"]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert (writer.returncode, errors) == (0, "")
    kept = {summary.run_id for summary in Store.open(tmp_path).runs()}
    assert kept == {f"{name}-{index:04}" for name in "abcd" for index in range(6)}


def test_a_writer_that_is_killed_loses_nothing_that_it_had_kept(tmp_path: Path, run: StoredRun) -> None:
    """A run is there whole or not at all."""
    for attempt in range(4):
        writer = start_writer(f"k{attempt}", tmp_path, 10_000)
        assert writer.stdout is not None
        said = [int(writer.stdout.readline()) for _ in range(4)]
        time.sleep(0.003 * attempt)
        os.kill(writer.pid, signal.SIGKILL)
        rest, _ = writer.communicate(timeout=60)
        said += [int(line) for line in rest.split()]
        store = Store.open(tmp_path)
        kept = sorted(summary.run_id for summary in store.runs() if summary.run_id.startswith(f"k{attempt}"))
        assert kept[: len(said)] == [f"k{attempt}-{index:04}" for index in said]
        assert len(kept) <= len(said) + 1
        assert store.load(kept[-1]) == replace(run, run_id=kept[-1])


def test_a_reader_sees_one_state_while_another_writes(tmp_path: Path, with_id: Callable[[str], StoredRun]) -> None:
    store = Store.open(tmp_path)
    store.add(with_id("r1"))
    with reading(store.engine) as connection:
        count = "SELECT count(*) FROM run"
        assert connection.exec_driver_sql(count).scalar_one() == 1
        store.add(with_id("r2"))
        assert connection.exec_driver_sql(count).scalar_one() == 1
    assert len(store.runs()) == 2
