"""The queue is bounded: readings go first and are counted, everything else is refused aloud."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.store.items import Item, Keep
from watchdog.store.queue import Queue, Submission
from watchdog.vocabulary.errors import StoreError
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject


def submission(num_rows: int, num_others: int, deadline: float | None = None) -> Submission:
    row: Item = Row(subject=Subject("n1"), at=1.0, values={"a": 1.0})
    return Submission.of([row] * num_rows + [Keep(key="k", value=1)] * num_others, deadline)


def sizes(queue: Queue) -> list[int]:
    """Of the submissions, in the order in which they would be written."""
    found = []
    while queue.take(1):
        found.append(len(queue.taken()))
        queue.done()
    return found


def test_a_batch_is_whole_submissions_up_to_its_size() -> None:
    queue = Queue(batch_items=5)
    for num_others in (2, 3, 1):
        queue.put(submission(0, num_others))
    assert queue.take() == 2
    assert len(queue.taken()) == 5


def test_a_submission_larger_than_a_batch_is_a_batch() -> None:
    queue = Queue(batch_items=5)
    queue.put(submission(0, 9))
    queue.put(submission(0, 1))
    assert queue.take() == 1


def test_readings_that_wait_for_longest_are_dropped_first_and_counted() -> None:
    queue = Queue(most_rows=5)
    first, second, third = submission(3, 0), submission(2, 1), submission(4, 0)
    for each in (first, second, third):
        queue.put(each)
    assert (queue.rows_waiting, queue.rows_dropped_total) == (4, 5)
    with pytest.raises(StoreError, match="3 items are not kept: 5 readings wait for the disk"):
        first.future.result(0)
    assert not second.future.done()
    assert sizes(queue) == [1, 4]


def test_what_is_not_a_reading_is_refused_aloud() -> None:
    queue = Queue(most_items=4)
    kept, refused = submission(0, 3), submission(1, 2)
    queue.put(kept)
    queue.put(refused)
    with pytest.raises(StoreError, match="3 items are not kept: 3 others wait for the disk, and the store takes 4"):
        refused.future.result(0)
    assert (queue.items_refused_total, queue.rows_dropped_total, queue.items_waiting) == (2, 1, 3)


def test_what_is_given_back_is_next_again_in_its_order() -> None:
    queue = Queue()
    for num_others in (1, 2, 3):
        queue.put(submission(0, num_others))
    queue.take(2)
    queue.give_back()
    assert sizes(queue) == [1, 2, 3]


def test_what_is_being_written_loses_no_readings() -> None:
    queue = Queue(most_rows=5)
    written, waiting = submission(4, 0), submission(4, 0)
    queue.put(written)
    queue.take()
    queue.put(waiting)
    assert waiting.future.exception(0) is not None
    queue.done()
    assert written.future.result(0) is None
    assert queue.rows_waiting == 0


def test_patience_ends() -> None:
    queue = Queue()
    patient, impatient, later = submission(1, 1), submission(1, 1, deadline=5.0), submission(0, 1, deadline=9.0)
    for each in (patient, impatient, later):
        queue.put(each)
    assert queue.withdraw(4.0) == 1.0
    assert queue.withdraw(5.0) == 4.0
    with pytest.raises(StoreError, match="2 items are not kept: the disk did not take them in time"):
        impatient.future.result(0)
    assert (queue.items_refused_total, queue.rows_dropped_total) == (1, 1)
    assert sizes(queue) == [2, 1]


operations = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 6), st.integers(0, 6), st.none() | st.floats(0, 20)),
    st.tuples(st.just("done"), st.none() | st.integers(1, 3)),
    st.tuples(st.just("fail"), st.none() | st.integers(1, 3)),
    st.tuples(st.just("withdraw"), st.floats(0, 20)),
)


@given(st.lists(operations, max_size=40))
def test_every_item_is_waiting_written_or_told_to_be_lost(those: list[tuple[object, ...]]) -> None:
    queue = Queue(most_rows=8, most_items=10, batch_items=7)
    put = written = 0
    futures = []
    for operation in those:
        match operation:
            case ("put", int(num_rows), int(num_others), deadline) if num_rows + num_others:
                each = submission(num_rows, num_others, deadline)  # type: ignore[arg-type]
                put += each.size
                futures.append(each.future)
                queue.put(each)
            case ("done" | "fail" as what, most):
                queue.take(most)  # type: ignore[arg-type]
                if what == "done":
                    written += len(queue.taken())
                    queue.done()
                else:
                    queue.give_back()
            case ("withdraw", float(now)):
                queue.withdraw(now)
        assert queue.rows_waiting <= 8
        assert queue.items_waiting <= 10
        lost = queue.rows_dropped_total + queue.items_refused_total
        assert queue.rows_waiting + queue.items_waiting + written + lost == put
    queue.fail_all("the test ends")
    assert all(future.done() for future in futures)
    assert queue.is_empty
