from hypothesis import given
from hypothesis import strategies as st

from fryer.outputs.thinning import thin

VALUES = st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=300)


@given(VALUES, st.integers(2, 60))
def test_no_more_points_than_asked_for_in_their_order_and_each_a_measured_one(values, most):
    times = [float(i) for i in range(len(values))]
    line = thin("gpu0", times, values, most)
    assert len(line.x) == len(line.y) <= most
    assert list(line.x) == sorted(set(line.x))
    assert all(values[int(x)] == y for x, y in zip(line.x, line.y, strict=True))
    assert line.num_measured == len(values)


@given(VALUES, st.integers(2, 60))
def test_the_lowest_and_the_highest_point_are_always_drawn(values, most):
    known = [value for value in values if value is not None]
    drawn = [y for y in thin("gpu0", list(range(len(values))), values, most).y if y is not None]
    assert (min(drawn, default=None), max(drawn, default=None)) == (min(known, default=None), max(known, default=None))


def test_a_dip_of_one_second_in_a_week_stays():
    values = [700.0] * 604_800
    values[300_000] = 1.0
    line = thin("gpu0", range(len(values)), values)
    assert line.is_thinned
    assert (300_000, 1.0) in zip(line.x, line.y, strict=True)
