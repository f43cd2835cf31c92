import random
from dataclasses import replace
from itertools import count as counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fryer.records import FLOPS, Point
from fryer.steady import measure, robust_sigma, slow_share, standard_error_ratio, steady, total_rate


def points(values, device="gpu0", case="bf16"):
    return [
        Point(device=device, burn="gemm", case=case, metric=FLOPS, at_seconds=1.0 + i, value=v)
        for i, v in zip(counter(), values, strict=False)
    ]


def noisy(level, length, noise, seed):
    generator = random.Random(seed)
    return [level * (1 + noise * generator.gauss(0, 1)) for _ in range(length)]


def test_a_constant_series_is_steady_from_its_first_point():
    found = steady(points([5.0] * 40))
    assert (found.value, found.spread_ratio, found.from_seconds, found.drift_ratio) == (5.0, 0.0, 1.0, 0.0)


def test_no_points_is_the_callers_error():
    with pytest.raises(ValueError, match="no points"):
        steady([])


@pytest.mark.parametrize("values", [[3.0], [3.0, 4.0], [3.0, 3.0, 3.0, 3.0]])
def test_less_than_five_points_never_count_as_steady(values):
    found = steady(points(values))
    assert found.from_seconds is None
    assert found.value == sum(values) / len(values)


@given(st.floats(0.02, 0.4), st.integers(3, 20), st.integers(60, 300), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_a_warm_up_that_settles_is_cut(height, tau, length, seed):
    """A GPU starts cold and fast and settles: the value must be the settled one, not the mean of both."""
    values = [v * (1 + height * 2.718281828 ** (-i / tau)) for i, v in enumerate(noisy(730e12, length, 0.003, seed))]
    found = steady(points(values))
    if length >= 12 * tau:
        assert found.from_seconds is not None
        assert found.value == pytest.approx(730e12, rel=0.01)


@given(st.floats(0.05, 0.5), st.integers(12, 400), st.integers(0, 10**6), st.sampled_from([-1, 1]))
@settings(max_examples=80, deadline=None)
def test_a_change_that_goes_on_is_never_steady(drop, length, seed, sign):
    """A GPU that heats up to the end of the run has no figure yet, whatever its noise below a tenth of the drop."""
    noise = drop / 60
    values = [v * (1 + sign * drop * i / length) for i, v in enumerate(noisy(730e12, length, noise, seed))]
    found = steady(points(values))
    assert found.from_seconds is None
    assert (found.drift_ratio > 0) == (sign > 0)


def test_a_level_that_drops_late_and_stays_down_is_not_steady():
    values = noisy(730e12, 70, 0.005, 1) + noisy(600e12, 30, 0.005, 2)
    assert steady(points(values)).from_seconds is None


def test_noise_alone_is_called_steady():
    refused = [
        (length, seed)
        for length in (12, 20, 60, 300)
        for seed in range(250)
        if steady(points(noisy(1e12, length, 0.02, seed))).from_seconds is None
    ]
    assert len(refused) <= 10, refused


@pytest.mark.parametrize("length", [5, 6, 8, 11])
def test_a_short_series_is_refused_only_for_a_change_that_noise_cannot_make(length):
    assert all(steady(points(noisy(1e12, length, 0.02, seed))).from_seconds is not None for seed in range(200))
    assert steady(points([100.0 - 30.0 * i / length for i in range(length)])).from_seconds is None


@given(st.integers(0, 59), st.floats(0.0, 3.0), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_one_dip_or_spike_moves_nothing(place, factor, seed):
    values = noisy(730e12, 60, 0.005, seed)
    with_dip = [v * factor if i == place else v for i, v in enumerate(values)]
    found = steady(points(with_dip))
    assert found.from_seconds is not None
    assert found.value == pytest.approx(730e12, rel=0.01)


@pytest.mark.parametrize("place", [3, 25, 59])
def test_a_dip_costs_no_part_of_the_series(place):
    """Cutting up to a dip in the middle would throw half of the measurement away."""
    assert steady(points([100.0 if i == place else 700.0 for i in range(60)])).from_seconds == 1.0


@given(st.lists(st.floats(1.0, 2.0), min_size=1, max_size=80), st.integers(-20, 60))
@settings(max_examples=100, deadline=None)
def test_the_unit_does_not_matter(values, exponent):
    """Powers of two scale floats exactly, so everything relative stays bit for bit the same."""
    plain, scaled = steady(points(values)), steady(points([v * 2.0**exponent for v in values]))
    assert scaled.value == plain.value * 2.0**exponent
    assert (scaled.spread_ratio, scaled.from_seconds, scaled.drift_ratio) == (
        plain.spread_ratio,
        plain.from_seconds,
        plain.drift_ratio,
    )


@given(st.lists(st.floats(1.0, 2.0), min_size=1, max_size=80), st.integers(0, 100_000))
@settings(max_examples=50, deadline=None)
def test_when_the_series_began_does_not_matter(values, shift):
    early = points(values)
    late = [
        Point(
            device=p.device, burn=p.burn, case=p.case, metric=p.metric, at_seconds=p.at_seconds + shift, value=p.value
        )
        for p in early
    ]
    first, second = steady(early), steady(late)
    assert (first.from_seconds is None) == (second.from_seconds is None)
    if first.from_seconds is not None:
        assert second.from_seconds == first.from_seconds + shift
    assert (second.value, second.drift_ratio) == (first.value, first.drift_ratio)


def test_a_day_of_points_settles_like_a_minute_of_them():
    values = [v * (1 + 0.1 * 2.718281828 ** (-i / 600)) for i, v in enumerate(noisy(730e12, 100_000, 0.01, 3))]
    found = steady(points(values))
    assert found.value == pytest.approx(730e12, rel=0.002)
    assert found.from_seconds is not None
    assert 500 <= found.from_seconds <= 50_000


def test_a_device_that_does_nothing_has_value_zero_and_no_spread():
    found = steady(points([0.0] * 20))
    assert (found.value, found.spread_ratio) == (0.0, 0.0)


def test_points_become_one_measurement_for_each_device_and_case():
    mixed = points([1.0, 2.0, 3.0], device="gpu1") + points([4.0] * 3) + points([5.0] * 3, case="fp8")
    found = measure(list(reversed(mixed)), {("gpu0", "gemm", "bf16"): "00000000000000ff"})
    assert {(m.device, m.case): (m.value, m.digest, len(m.series)) for m in found} == {
        ("gpu1", "bf16"): (2.0, None, 3),
        ("gpu0", "bf16"): (4.0, "00000000000000ff", 3),
        ("gpu0", "fp8"): (5.0, None, 3),
    }
    assert all([p.at_seconds for p in m.series] == [1.0, 2.0, 3.0] for m in found)


def test_the_standard_error_shrinks_with_the_root_of_the_count():
    def error(length):
        return standard_error_ratio(measure(points([1.0, 1.1] * (length // 2)))[0])

    assert error(400) == pytest.approx(error(100) / 2, rel=0.05)


def test_one_outlier_does_not_move_the_robust_deviation():
    values = [1.0, 1.02, 0.98, 1.01, 0.99, 1.0, 1.0]
    assert robust_sigma([*values, 0.5]) < 2 * robust_sigma(values) < 0.05


def test_three_points_of_any_shape_tell_no_drift():
    """Three seconds of a burn on a processor: 100, 80, 60 are too few to say that it goes on falling."""
    found = steady(points([100.0, 80.0, 60.0]))
    assert (found.from_seconds, found.drift_ratio) == (None, 0.0)


def test_one_point_is_not_taken_for_a_figure_without_noise():
    (one,) = measure(points([705e12]))
    (many,) = measure(points([705e12] * 5))
    assert standard_error_ratio(one) > 0.03
    assert standard_error_ratio(many) == 0.0


def test_the_total_rate_is_work_over_time():
    """A rate of 3 for four seconds and of 1 for one second, in one interval each but the last: 13 in 5 seconds."""
    at = [1.0, 2.0, 3.0, 4.0, 5.0]
    series = [replace(p, at_seconds=t) for p, t in zip(points([3.0, 3.0, 3.0, 3.0, 1.0]), at, strict=True)]
    (even,) = measure(series)
    assert (even.value, total_rate(even)) == (3.0, 2.6)
    series[-1] = replace(series[-1], at_seconds=10.0)
    (long_stall,) = measure(series)
    assert total_rate(long_stall) == pytest.approx((4 * 3.0 + 6 * 1.0) / 10)


def test_time_that_went_into_verifying_is_no_time_at_work():
    """A second at 4 and a second of which a quarter was at 2: 4.5 in 1.25 seconds."""
    series = [replace(p, busy_ratio=ratio) for p, ratio in zip(points([4.0, 2.0]), [1.0, 0.25], strict=True)]
    (found,) = measure(series)
    assert total_rate(found) == 4.5 / 1.25


def test_the_total_rate_of_an_even_series_is_its_median():
    (found,) = measure(points([7.0] * 9))
    assert total_rate(found) == 7.0
    assert total_rate(replace(found, series=())) == 7.0


def test_the_share_of_slow_intervals_is_counted_in_the_steady_part():
    (found,) = measure(points([10.0, 10.0, 10.0, 3.0] * 10))
    assert slow_share(found, 0.9) == pytest.approx(0.25, abs=0.02)
    assert slow_share(replace(found, series=()), 0.9) == 0.0
