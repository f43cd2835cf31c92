"""Durations run from reading to reading."""

from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.held import GAP_SECONDS, Held, held, together
from watchdog.vocabulary.samples import Series


def is_high(value):
    return value >= 10


def test_the_unbroken_end_of_a_series_counts():
    assert held(Series([0, 10, 20, 30, 40], [10, 3, 10, 11, 12]), is_high) == Held(20, 40)


def test_a_newest_reading_that_is_well_ends_it():
    assert held(Series([0, 10, 20], [10, 10, 9.9]), is_high) is None


def test_one_reading_has_lasted_no_time():
    assert held(Series([7], [10]), is_high).seconds == 0


def test_a_hole_in_the_readings_ends_a_state():
    hole = GAP_SECONDS + 1
    assert held(Series([0, 10, 10 + hole, 20 + hole], [10, 10, 10, 10]), is_high) == Held(10 + hole, 20 + hole)
    assert held(Series([0, 10, 10 + GAP_SECONDS], [10, 10, 10]), is_high) == Held(0, 10 + GAP_SECONDS)


def test_not_a_number_is_not_high():
    assert held(Series([0, 10], [10, float("nan")]), is_high) is None


def test_states_together_last_as_long_as_they_overlap():
    assert together(Held(0, 50), Held(20, 60)) == Held(20, 50)


def test_states_that_never_met_or_are_not_known_are_not_together():
    assert together(Held(0, 10), Held(20, 60)) is None
    assert together(Held(0, 10), None) is None
    assert together() is None


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 20), min_size=1, max_size=30), st.integers(0, 29), st.floats(0, 20))
def test_a_worse_value_never_shortens_a_state(values, index, more):
    index %= len(values)
    worse = [*values]
    worse[index] += more
    times = list(range(len(values)))
    before, after = held(Series(times, values), is_high), held(Series(times, worse), is_high)
    assert before is None or (after is not None and after.seconds >= before.seconds)
