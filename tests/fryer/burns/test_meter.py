import pytest

from fryer.burns.meter import Meter


def make(lasts_seconds=100.0):
    return Meter(device="gpu0", burn="gemm", case="", metric="", start_seconds=10.0, lasts_seconds=lasts_seconds)


def points(meter, ends, work=1.0, busy_seconds=0.1):
    found = [meter.add(work, busy_seconds, end) for end in ends]
    return [point for point in (*found, meter.finish()) if point]


def test_the_rate_is_of_the_work_itself_and_the_rest_of_the_interval_is_told_apart():
    (first, second) = points(make(), [10.25, 10.5, 10.75, 11.0, 11.25, 11.5, 11.75, 12.0], busy_seconds=0.2)
    assert (first.value, first.at_seconds) == (pytest.approx(5.0), 11.0)
    assert first.busy_ratio == second.busy_ratio == pytest.approx(0.8)
    assert first.value * first.busy_ratio == pytest.approx(4.0)  # with verification: four in a second


@pytest.mark.parametrize("work_seconds", [0.02, 0.1, 0.2])
def test_a_short_measurement_gives_five_points_at_least(work_seconds):
    ends = [10.0 + work_seconds * number for number in range(1, int(1.5 / work_seconds) + 1)]
    found = points(make(lasts_seconds=1.5), ends, busy_seconds=work_seconds)
    assert len(found) >= 5
    assert [point.value for point in found] == pytest.approx([1 / work_seconds] * len(found))


def test_a_long_measurement_gives_a_point_a_second():
    assert len(points(make(), [10 + 0.3 * number for number in range(1, 101)])) == 30


def test_what_is_excluded_is_no_part_of_the_interval():
    meter = make()
    meter.add(1.0, 0.5, 10.5)
    meter.exclude(11.0, 19.0)
    before = meter.add(1.0, 0.5, 11.0)
    after = meter.add(1.0, 0.5, 20.0)
    assert [(point.value, point.busy_ratio) for point in (before, after)] == [(2.0, 1.0), (2.0, 0.5)]


def test_work_that_took_no_time_that_can_be_told_is_rated_over_the_interval():
    (point,) = points(make(), [11.0], work=3.0, busy_seconds=0.0)
    assert (point.value, point.busy_ratio) == (3.0, 1.0)


def test_nothing_done_is_no_point():
    assert make().finish() is None
