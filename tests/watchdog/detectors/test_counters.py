"""Growth over resets."""

from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.counters import Growth, growth
from watchdog.vocabulary.samples import Series


def test_growth_is_told_with_when_it_began_and_over_what_time():
    assert growth(Series([0, 10, 20, 30], [5, 5, 7, 8]), 0) == Growth(3, 20, 30)


def test_the_last_reading_before_counts_so_that_nothing_falls_between():
    assert growth(Series([0, 60, 120], [5, 5, 9]), 100) == Growth(4, 120, 60)


def test_growth_before_is_not_counted():
    assert growth(Series([0, 60, 120, 180], [0, 9, 9, 9]), 100) is None


def test_after_a_reset_a_counter_counts_from_zero():
    assert growth(Series([0, 10, 20, 30], [100, 0, 0, 2]), 0) == Growth(2, 30, 30)
    assert growth(Series([0, 10], [100, 3]), 0) == Growth(3, 10, 10)
    assert growth(Series([0, 10, 20], [100, 0, 0]), 0) is None


def test_one_reading_shows_no_growth():
    assert growth(Series([0], [100]), 0) is None
    assert growth(Series([5, 5], [1, 2]), 0) is None


def test_a_young_series_has_no_rate_of_its_own():
    grown = Growth(10, 1, 2)
    assert grown.rate(60, 60) == 10
    assert grown.rate(60, 1) == 300


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=20))
def test_it_is_the_increase_of_the_series(values):
    grown = growth(Series(range(len(values)), values), 0)
    assert (grown.count if grown else 0) == Series(range(len(values)), values).increase
