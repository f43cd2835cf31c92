"""Events are bounded, and a storm neither hides another fault nor loses its own count."""

from hypothesis import given
from hypothesis import strategies as st

from watchdog.daemon.recent_events import FOLD_SECONDS, MOST_APART, MOST_EVENTS, RecentEvents
from watchdog.vocabulary.samples import Event
from watchdog.vocabulary.subjects import Subject


def gpu(index: int) -> Subject:
    return Subject("n", "gpu", f"GPU-{index}")


def xid(code: int, at: float, index: int = 0, **data: object) -> Event:
    return Event(kind="xid", subject=gpu(index), at=at, code=code, line=f"line of {at}", data=data)


def told(recent: RecentEvents) -> list[tuple[int | None, int]]:
    return [(event.code, event.data.get("count", 1)) for event in recent]  # type: ignore[misc]


def test_few_events_are_kept_as_they_came() -> None:
    events = [xid(13, float(at)) for at in range(MOST_APART)]
    recent = RecentEvents()
    recent.add(events)
    assert list(recent) == events


def test_what_one_part_repeats_is_folded_and_another_parts_only_line_stays() -> None:
    recent = RecentEvents()
    recent.add([xid(79, 0.0, index=1), *(xid(13, 1 + i / 50_000) for i in range(100_000))])
    assert told(recent) == [(79, 1), *[(13, 1)] * (MOST_APART - 1), (13, 100_000 - MOST_APART + 1)]
    assert list(recent)[-1].data["last_at"] == 1 + 99_999 / 50_000


def test_counts_of_what_the_reader_had_folded_are_added() -> None:
    recent = RecentEvents()
    recent.add(xid(13, i / 100, count=4096, last_at=i / 100) for i in range(MOST_APART + 5))
    assert sum(count for _, count in told(recent)) == 4096 * (MOST_APART + 5)


def test_a_fault_that_comes_again_later_is_an_event_of_its_own() -> None:
    recent = RecentEvents()
    recent.add([*(xid(13, 0.0) for _ in range(MOST_APART + 1)), xid(13, FOLD_SECONDS), xid(13, FOLD_SECONDS + 0.1)])
    assert told(recent)[-2:] == [(13, 3), (13, 1)]


def test_what_two_readers_saw_is_not_added_up() -> None:
    recent = RecentEvents()
    recent.add(xid(13, 0.0, source=source) for _ in range(MOST_APART + 1) for source in ("kmsg", "nvml"))
    assert told(recent)[-2:] == [(13, 2), (13, 2)]


def test_hundreds_of_parts_are_bounded_too() -> None:
    recent = RecentEvents()
    recent.add(xid(13, float(i), index=i) for i in range(MOST_EVENTS + 10))
    assert [event.at for event in recent] == [float(i) for i in range(10, MOST_EVENTS + 10)]


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 30))), st.floats(0, 1000))
def test_no_event_is_lost_but_the_old_ones(steps: list[tuple[int, float]], before: float) -> None:
    at, events = 0.0, []
    for index, seconds in steps * 40:
        at += seconds / 100
        events.append(xid(13, at, index=index))
    recent = RecentEvents()
    recent.add(events)
    assert sum(count for _, count in told(recent)) == len(events)
    assert [event.at for event in recent] == sorted(event.at for event in recent)
    recent.forget(before)
    assert all(event.at >= before for event in recent)
