"""What the writer acknowledges is on the disk, together with what came with it; nothing is lost in silence."""

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

from watchdog.store import Cursor, Item, Keep, Store, WatchLog, Writer
from watchdog.store.queue import Queue
from watchdog.vocabulary.errors import StoreError
from watchdog.vocabulary.runs import Step
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.subjects import Subject

GPU = Subject("n1", "gpu", "GPU-a")
PATIENCE_SECONDS = 60.0


def row(at: float) -> Row:
    return Row(subject=GPU, at=at, values={"power_watts": at})


def event(message: str, **data: object) -> Event:
    return Event(kind="xid", subject=GPU, at=1.0, message=message, data=data)


def step(number: int) -> Step:
    return Step(run="r", rank=0, step=number, at=float(number))


@contextmanager
def writing(store: Store, **options: object) -> Iterator[Writer]:
    writer = Writer(store, **options).start()  # type: ignore[arg-type]
    try:
        yield writer
    finally:
        writer.close(PATIENCE_SECONDS)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def messages(store: Store) -> list[str]:
    return [each.message for each in WatchLog(store).events(0.0, 1000)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "state")


def test_what_is_acknowledged_can_be_read(store: Store) -> None:
    with writing(store, period_seconds=0.01) as writer:
        writer.submit([row(1.0), event("a"), step(4)]).result(PATIENCE_SECONDS)
        log = WatchLog(store)
        assert log.rows(GPU, 0.0, 9) == [row(1.0)]
        assert log.events(0.0, 9) == [event("a")]
        assert log.steps("r", 0, 9) == [step(4)]
        assert writer.status.commits_total == 1
        assert writer.status.items_total == 3


def test_nothing_is_written_until_the_period_is_over_or_haste_is_asked_for(store: Store) -> None:
    with writing(store, period_seconds=3600.0) as writer:
        slow = writer.submit([event("slow")])
        time.sleep(0.05)
        assert not slow.done()
        writer.submit([event("fast")], at_once=True).result(PATIENCE_SECONDS)
        assert slow.done()
        assert writer.status.commits_total == 1


def test_a_full_batch_is_written_at_once(store: Store) -> None:
    with writing(store, period_seconds=3600.0, queue=Queue(batch_items=3)) as writer:
        futures = [writer.submit([event(str(number))]) for number in range(3)]
        for future in futures:
            future.result(PATIENCE_SECONDS)


def test_flush_writes_what_waits(store: Store) -> None:
    with writing(store, period_seconds=3600.0) as writer:
        future = writer.submit([event("a")])
        assert writer.flush(PATIENCE_SECONDS)
        assert future.done()
        assert writer.flush(PATIENCE_SECONDS)


def test_closing_writes_what_waits_and_later_items_are_refused(store: Store) -> None:
    writer = Writer(store, period_seconds=3600.0).start()
    future = writer.submit([event("a")])
    assert writer.close(PATIENCE_SECONDS)
    assert future.result(0) is None
    assert messages(store) == ["a"]
    with pytest.raises(StoreError, match="1 item is not kept: the store's writer has ended"):
        writer.submit([event("b")]).result(0)


def test_nothing_to_write_is_written_at_once(store: Store) -> None:
    with writing(store, period_seconds=3600.0) as writer:
        assert writer.submit([]).result(0) is None


def test_what_can_never_be_written_is_told_and_keeps_nothing_else_out(store: Store) -> None:
    with writing(store, period_seconds=3600.0) as writer:
        before = writer.submit([event("before"), Cursor(source="kmsg", boot_id="b", sequence=1)])
        bad = [
            writer.submit([event("half"), event("bad", value={1})]),
            writer.submit([Row(subject=GPU, at=1.0, values={"a": "text"})]),  # type: ignore[dict-item]
            writer.submit([object()]),  # type: ignore[list-item]
        ]
        after = writer.submit([event("after")])
        assert not writer.flush(PATIENCE_SECONDS)
        reasons = [str(future.exception(PATIENCE_SECONDS)) for future in bad]
        assert before.result(PATIENCE_SECONDS) is None
        assert after.result(PATIENCE_SECONDS) is None
        assert reasons[0].startswith("2 items are not kept: they can't be written (TypeError: ")
        assert reasons[1].startswith("1 item is not kept: they can't be written (error: ")
        assert reasons[2] == (
            "1 item is not kept: they can't be written (TypeError: a object is nothing that the daemon's store keeps)"
        )
        assert messages(store) == ["before", "after"]
        assert writer.status.error == ""
        assert writer.status.items_refused_total == 3


def test_a_name_first_written_with_something_bad_is_still_known_afterwards(store: Store) -> None:
    """Ids that a failed transaction gave out must not be used."""
    new = Subject("n1", "gpu", "GPU-new")
    with writing(store, period_seconds=3600.0) as writer:
        bad = writer.submit([Row(subject=new, at=1.0, values={"b": 1.0}), event("bad", value={1})], at_once=True)
        assert bad.exception(PATIENCE_SECONDS) is not None
        good = Row(subject=new, at=2.0, values={"b": 2.0, "c": 3.0})
        writer.submit([good], at_once=True).result(PATIENCE_SECONDS)
        assert WatchLog(store).rows(new, 0.0, 9) == [good]


def test_a_full_disk_is_reported_and_nothing_is_lost_but_readings(disk: Path, fill: Callable[[Path], None]) -> None:
    store = Store.open(disk)
    with writing(store, period_seconds=0.01, queue=Queue(most_rows=4, batch_items=400)) as writer:
        writer.submit([event("first")]).result(PATIENCE_SECONDS)
        fill(disk)
        kept: list[Future[None]] = []
        number = 0
        while writer.status.failing_since is None:  # SQLite has some room of its own
            kept.append(writer.submit([event(f"{number} {'x' * 2000}"), row(float(number))]))
            number += 1
            time.sleep(0.001)
        rows = [writer.submit([row(1e6 + each)]) for each in range(20)]
        status = writer.status
        assert "no room left on its file system" in status.error
        assert status.rows_dropped_total >= 16
        assert status.rows_waiting <= 4
        assert not kept[-1].done()
        (disk / "filler").unlink()
        assert writer.flush(PATIENCE_SECONDS)
        assert [future.result(0) for future in kept] == [None] * len(kept)
        assert writer.status.failing_since is None
        assert writer.status.error == ""
    assert messages(store) == ["first"] + [f"{each} {'x' * 2000}" for each in range(number)]
    lost = sum(future.exception(0) is not None for future in rows)
    assert 0 < lost <= writer.status.rows_dropped_total
    assert len(WatchLog(store).rows(GPU, 0.0, 10_000)) == number + 20 - writer.status.rows_dropped_total
    connection = sqlite3.connect(store.path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_patience_ends_while_the_file_is_locked(store: Store) -> None:
    other = sqlite3.connect(store.path, isolation_level=None)
    with writing(store, period_seconds=0.01) as writer:
        other.execute("BEGIN IMMEDIATE")
        patient = writer.submit([event("patient")])
        impatient = writer.submit([event("impatient")], patience_seconds=2.0)  # ends during the first attempt
        with pytest.raises(StoreError, match="1 item is not kept: the disk did not take them in time"):
            impatient.result(PATIENCE_SECONDS)
        assert "another process has kept it locked for 5 s" in writer.status.error
        other.execute("ROLLBACK")
        assert writer.flush(PATIENCE_SECONDS)
        assert patient.done()
    other.close()
    assert messages(store) == ["patient"]


def test_a_future_can_not_be_cancelled(store: Store) -> None:
    """Whoever gives up waiting must not take the writer's thread by surprise."""
    with writing(store, period_seconds=3600.0) as writer:
        future = writer.submit([event("a")])
        assert not future.cancel()
        assert writer.flush(PATIENCE_SECONDS)
        assert future.result(0) is None


def test_a_file_that_is_moved_away_is_begun_anew(store: Store, tmp_path: Path) -> None:
    """Written on into a file that has no name any more, everything would be acknowledged and found by nobody."""
    with writing(store, period_seconds=0.01) as writer:
        writer.submit([event("before")]).result(PATIENCE_SECONDS)
        (tmp_path / "away").mkdir()
        for path in store.path.parent.iterdir():
            shutil.move(path, tmp_path / "away")
        writer.submit([event("after")]).result(PATIENCE_SECONDS)
        assert messages(store) == ["after"]


def test_a_file_that_was_put_in_its_place_is_written_to(store: Store, tmp_path: Path) -> None:
    other = Store.open(tmp_path / "other")
    with writing(store, period_seconds=0.01) as writer:
        writer.submit([event("before")]).result(PATIENCE_SECONDS)
        for suffix in ("-wal", "-shm", ""):
            store.path.with_name(store.path.name + suffix).unlink()
        shutil.move(other.path, store.path)
        writer.submit([event("after")]).result(PATIENCE_SECONDS)
        assert messages(store) == ["after"]


def test_readers_are_never_held_up_and_never_see_half(store: Store) -> None:
    """Every submission has two events and a cursor; a reader must see all three or none."""
    stop = threading.Event()
    seen: list[int] = []

    def read() -> None:
        log = WatchLog(store)
        while not stop.is_set():
            sequence = log.remembered(0.0).cursors["kmsg"].sequence
            events = log.events(0.0, 10_000)
            assert len(events) % 2 == 0
            assert len(events) >= 2 * sequence
            seen.append(len(events))

    def items(number: int) -> list[Item]:
        return [event(f"{number} a"), event(f"{number} b"), Cursor(source="kmsg", boot_id="b", sequence=number)]

    with writing(store, period_seconds=0.001) as writer:
        writer.submit(items(1)).result(PATIENCE_SECONDS)
        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for number in range(2, 100):
            writer.submit(items(number)).result(PATIENCE_SECONDS)
        wait_until(lambda: 198 in seen)
        stop.set()
        for reader in readers:
            reader.join(PATIENCE_SECONDS)
    assert writer.status.errors_total == 0
    assert len(set(seen)) > 1


def test_submitting_from_many_threads_loses_nothing(store: Store) -> None:
    def submit(name: int) -> None:
        futures.extend([writer.submit([Keep(key=f"{name} {number}", value=number)]) for number in range(100)])

    futures: list[Future[None]] = []
    with writing(store, period_seconds=0.001) as writer:
        threads = [threading.Thread(target=submit, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        for future in futures:
            future.result(PATIENCE_SECONDS)
        assert len(WatchLog(store).remembered(0.0).values) == 400
