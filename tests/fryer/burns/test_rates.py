from math import inf

import pytest

from fryer.burns.rates import BATCHES_IN_FLIGHT, Lane, measure


@pytest.fixture
def repeat(linked_device, timeline):
    """A lane whose work is so many bytes at a gigabyte a second, and how often it was queued."""
    queued = []

    def make(num_bytes, index=0, bytes_per_second=1e9):
        device = linked_device("gpu0", timeline, bytes_per_second)

        def queue():
            device.spend(num_bytes)
            queued.append(timeline.seconds)
            return num_bytes

        return Lane(device, index, queue)

    make.queued = queued
    return make


def never():
    return False


def test_a_rate_is_work_over_the_time_in_which_it_was_completed(repeat):
    rates = list(measure([repeat(10**7)], 6.0, never))
    assert [rate.value for rate in rates] == pytest.approx([1e9] * len(rates))
    assert len(rates) == 5
    assert all(1.0 <= rate.at_seconds - rate.since_seconds < 1.2 for rate in rates)
    assert [rate.since_seconds for rate in rates[1:]] == [rate.at_seconds for rate in rates[:-1]]


def test_lanes_run_at_the_same_time_and_the_slowest_sets_the_pace(repeat):
    rates = list(measure([repeat(10**7, 1), repeat(10**7, 2, bytes_per_second=5e8)], 5.0, never))
    assert [rate.value for rate in rates] == pytest.approx([2 * 5e8] * len(rates))


def test_a_short_case_is_cut_into_shorter_intervals(repeat):
    assert len(list(measure([repeat(10**6)], 0.4, never))) >= 4


def test_work_longer_than_the_case_still_gives_one_rate(repeat):
    (rate,) = measure([repeat(10**10)], 1.0, never)
    assert rate.value == pytest.approx(1e9)


def test_a_stop_ends_it_without_a_rate_for_the_interval_that_was_cut_short(repeat, timeline):
    rates = list(measure([repeat(10**7)], inf, lambda: timeline.seconds > 2.5, interval_seconds=1.0))
    assert len(rates) == 2
    assert timeline.seconds < 2.5 + 0.2


def test_a_stop_before_the_beginning_gives_nothing(repeat):
    assert list(measure([repeat(10**7)], 5.0, lambda: True)) == []


def test_no_more_than_two_batches_are_queued_ahead(repeat, timeline):
    """Or a stop would wait for a long queue to drain."""
    lane = repeat(10**6)
    for _ in measure([lane], 3.0, never):
        ahead = lane.device.done_at[0] - timeline.seconds
        assert ahead <= BATCHES_IN_FLIGHT * 0.1
