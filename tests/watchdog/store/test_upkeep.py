"""What keeps the file small takes away what it says and nothing else, and may be interrupted or doubled."""

import math
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from watchdog.store import Item, Retention, Store, WatchLog
from watchdog.store.connection import reading, writing
from watchdog.store.minutes import HourOfMinutes, Minute, hour_of
from watchdog.store.upkeep import Pruned, checkpoint, give_back, keep_small, pack_steps, prune, roll_up
from watchdog.store.watch_tables import EVENT, HOUR, KEPT_VALUE, STEP_BLOCK, TICK
from watchdog.store.watch_writing import Pen
from watchdog.vocabulary.runs import Step
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.subjects import Subject

GPU, OTHER = Subject("n1", "gpu", "GPU-a"), Subject("n1", "gpu", "GPU-b")
MANY = 10**6
real_files = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store.open(tmp_path_factory.mktemp("state"))


@pytest.fixture
def store(kept: Store) -> Store:
    empty(kept)
    return kept


def empty(store: Store) -> None:
    with writing(store.engine) as connection:
        for table in (TICK, HOUR, EVENT, STEP_BLOCK, KEPT_VALUE):
            connection.execute(delete(table))


def keep(store: Store, *commits: Sequence[Item]) -> None:
    pen = Pen()
    for items in commits:
        with writing(store.engine) as connection:
            pen.write(connection, items)


def row(at: float, subject: Subject = GPU, **values: float) -> Row:
    return Row(subject=subject, at=at, values=values or {"power_watts": at})


def step(number: int, at: float, rank: int = 0, run: str = "r") -> Step:
    return Step(run=run, rank=rank, step=number, at=at, loss=number / 3)


def minutes(store: Store, subject: Subject) -> list[Minute]:
    return WatchLog(store).minutes(subject, 0.0, MANY)


def direct(rows: Sequence[Row], subject: Subject) -> Iterator[Minute]:
    """The minutes of `subject`, straight from `rows`."""
    those = [each for each in rows if each.subject == subject]
    for number in sorted({hour_of(each.at) for each in those}):
        hour = HourOfMinutes(number)
        for each in those:
            if hour_of(each.at) == number:
                hour.add(each.at, each.values)
        yield from hour.minutes(subject)


rows = st.builds(
    row,
    st.floats(0.0, 4 * 3600.0),
    st.sampled_from([GPU, OTHER]),
    power_watts=st.floats(-1e6, 1e6),
)


@given(st.lists(st.lists(rows, min_size=1, max_size=5), max_size=12), st.sets(st.integers(0, 11)))
@real_files
def test_rolling_up_now_and_then_is_the_direct_computation(
    kept: Store, commits: list[list[Row]], rolled_up_after: set[int]
) -> None:
    empty(kept)
    for index, commit in enumerate(commits):
        keep(kept, commit)
        if index in rolled_up_after:
            roll_up(kept)
    roll_up(kept)
    assert roll_up(kept) == 0
    everything = [each for commit in commits for each in commit]
    for subject in (GPU, OTHER):
        assert minutes(kept, subject) == list(direct(everything, subject))


@given(st.lists(st.lists(rows, min_size=1, max_size=3), max_size=12), st.floats(0.0, 5 * 3600.0), st.integers(0, 12))
@real_files
def test_readings_leave_when_the_newest_of_their_commit_is_too_old_and_rolled_up(
    kept: Store, commits: list[list[Row]], now: float, num_rolled_up: int
) -> None:
    empty(kept)
    keep(kept, *commits[:num_rolled_up])
    roll_up(kept)
    keep(kept, *commits[num_rolled_up:])
    prune(kept, now, Retention(rows_seconds=3600.0))
    stay = [
        each
        for index, commit in enumerate(commits)
        for each in commit
        if index >= num_rolled_up or max(row.at for row in commit) >= now - 3600.0
    ]
    for subject in (GPU, OTHER):
        found = WatchLog(kept).rows(subject, 0.0, MANY)
        assert found == [each for each in stay if each.subject == subject]


@given(st.lists(st.integers(0, 200), unique=True, max_size=10), st.floats(0.0, 200 * 3600.0))
@real_files
def test_minutes_leave_by_the_hour_once_all_of_it_is_too_old(kept: Store, hours: list[int], now: float) -> None:
    empty(kept)
    keep(kept, *([row(hour * 3600.0)] for hour in hours))
    roll_up(kept)
    prune(kept, now, Retention(rows_seconds=0.0, minutes_seconds=24 * 3600.0))
    assert [minute.at / 3600 for minute in minutes(kept, GPU)] == sorted(
        hour for hour in hours if (hour + 1) * 3600.0 > math.floor((now - 24 * 3600.0) / 3600.0) * 3600.0
    )


@given(st.lists(st.floats(0.0, 1000.0), max_size=10), st.floats(0.0, 1200.0))
@real_files
def test_events_leave_when_their_last_repeat_is_too_old(kept: Store, times: list[float], now: float) -> None:
    empty(kept)
    events = [Event(kind="oom", subject=GPU, at=at, message=str(number)) for number, at in enumerate(times)]
    keep(kept, events)
    prune(kept, now, Retention(events_seconds=100.0))
    assert {event.message for event in WatchLog(kept).events(0.0, MANY)} == {
        event.message for event in events if event.at >= now - 100.0
    }


def test_a_storm_of_different_events_leaves_the_newest(store: Store) -> None:
    keep(store, [Event(kind="oom", subject=GPU, at=5.0, message=str(number)) for number in range(10)])
    assert prune(store, 6.0, Retention(most_events=4)).events == 6
    assert [event.message for event in WatchLog(store).events(0.0, 9)] == ["6", "7", "8", "9"]


def test_ids_of_readings_are_not_used_again(store: Store) -> None:
    """Or what came after everything was pruned would count as rolled up."""
    keep(store, [row(1.0)], [row(2.0)])
    roll_up(store)
    assert prune(store, 1e6, Retention()).ticks == 2
    keep(store, [row(1e6)])
    assert roll_up(store) == 1
    assert [minute.values["power_watts"].count for minute in minutes(store, GPU)] == [2, 1]


def test_more_than_a_portion_is_rolled_up_in_one_call(store: Store) -> None:
    rows = [row(float(second)) for second in range(700)]
    pen = Pen()
    with writing(store.engine) as connection:
        for each in rows:
            pen.write(connection, [each])
    assert roll_up(store) == 700
    assert minutes(store, GPU) == list(direct(rows, GPU))


def test_a_damaged_tick_keeps_no_other_from_being_rolled_up(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    keep(store, [row(1.0)], [row(2.0)], [row(3.0)])
    with writing(store.engine) as connection:
        connection.execute(update(TICK).where(TICK.c.last_at == 2.0).values(rows=b"damaged"))
    assert roll_up(store) == 3
    assert [minute.values["power_watts"].count for minute in minutes(store, GPU)] == [2]
    assert "readings lost tick=" in caplog.text


def test_a_damaged_hour_is_begun_anew(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    keep(store, [row(1.0)])
    roll_up(store)
    with writing(store.engine) as connection:
        connection.execute(update(HOUR).values(minutes=b"damaged"))
    keep(store, [row(2.0)])
    roll_up(store)
    assert [minute.values["power_watts"].count for minute in minutes(store, GPU)] == [1]
    assert "minutes lost subject=" in caplog.text


def test_old_steps_become_a_block_an_hour_with_the_lowest_rank_of_each(store: Store) -> None:
    told = [step(number, number * 240.0, rank) for number in range(40) for rank in (3, 2)]
    keep(store, *([each] for each in told))
    assert pack_steps(store, 3 * 3600.0, Retention(steps_seconds=3600.0)) == 2
    found = WatchLog(store).steps("r", 0, MANY)
    assert found == [each for each in told if each.rank == 2 or each.at >= 2 * 3600.0]
    with reading(store.engine) as connection:
        sizes = connection.exec_driver_sql("SELECT is_packed, count(*) FROM step_block GROUP BY 1").all()
    assert [tuple(size) for size in sizes] == [(0, 20), (1, 2)]
    assert pack_steps(store, 3 * 3600.0, Retention(steps_seconds=3600.0)) == 0


def test_a_step_that_was_done_again_stays_twice(store: Store) -> None:
    told = [step(1, 10.0), step(2, 20.0), step(1, 30.0), step(2, 40.0), step(7, 50.0, run="other")]
    keep(store, *([each] for each in told))
    assert pack_steps(store, 1e6, Retention()) == 2
    assert WatchLog(store).steps("r", 0, MANY) == told[:4]
    assert WatchLog(store).steps("other", 0, MANY) == told[4:]


def test_packed_steps_leave_in_the_end(store: Store) -> None:
    keep(store, [step(1, 10.0)], [step(2, 20.0 + 3600.0)])
    pack_steps(store, 1e6, Retention())
    assert prune(store, 100.0 + 3600.0, Retention(packed_steps_seconds=3600.0)).step_blocks == 1
    assert [each.step for each in WatchLog(store).steps("r", 0, MANY)] == [2]


def test_the_file_shrinks_again(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    events = [Event(kind="oom", subject=GPU, at=5.0, message=str(number), line="x" * 4000) for number in range(3000)]
    keep(store, events)
    checkpoint(store)
    full = store.path.stat().st_size
    assert full > 12_000_000
    prune(store, 1e9, Retention())
    given_back = give_back(store, spare_bytes=1 << 20)
    assert given_back > 10_000_000
    assert checkpoint(store)
    assert store.path.stat().st_size == full - given_back
    assert give_back(store, spare_bytes=1 << 20) == 0


def test_room_that_will_be_needed_again_is_kept(tmp_path: Path) -> None:
    store = Store.open(tmp_path)  # which leaves free what it proved to be writable
    assert give_back(store) == 0


def test_a_file_that_can_not_shrink_is_left_alone(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    connection = sqlite3.connect(store.path, isolation_level=None)
    connection.execute("PRAGMA auto_vacuum=NONE")
    connection.execute("VACUUM")
    connection.execute("CREATE TABLE big AS SELECT zeroblob(8000000) AS bytes")
    connection.execute("DROP TABLE big")
    connection.close()
    assert give_back(store, spare_bytes=0) == 0


def test_readings_are_rolled_up_before_they_leave(store: Store) -> None:
    keep(store, [row(1.0), step(1, 1.0)])
    assert keep_small(store, 1e5, Retention()) == Pruned(ticks=1, hours=0, events=0, step_blocks=0)
    assert [minute.values["power_watts"].last for minute in minutes(store, GPU)] == [1.0]
    assert [each.step for each in WatchLog(store).steps("r", 0, MANY)] == [1]
