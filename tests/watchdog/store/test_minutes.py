"""Rolled-up readings are what a direct computation gives, in however many portions they came."""

import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.store.minutes import HourOfMinutes, Minute, Summary, hour_of, pack_minutes, unpack_minutes
from watchdog.store.numbers import pack_table
from watchdog.store.packing import PackingError
from watchdog.vocabulary.subjects import Subject

GPU = Subject("n1", "gpu", "GPU-a")
HOUR = 472_222
Reading = tuple[float, dict[str, float]]
readings = st.lists(
    st.tuples(
        st.floats(HOUR * 3600.0, (HOUR + 1) * 3600.0, exclude_max=True),
        st.dictionaries(st.sampled_from(["power_watts", "loss"]), st.floats(-1e9, 1e9) | st.just(0.0), min_size=1),
    ),
    max_size=40,
)


def computed(those: list[Reading]) -> Iterator[Minute]:
    """The same, the plain way."""
    for at in sorted({math.floor(at / 60) * 60.0 for at, _ in those}):
        within = [values for when, values in those if at <= when < at + 60]
        summaries = {}
        for metric in {metric for values in within for metric in values}:
            series = [values[metric] for values in within if metric in values]
            total = 0.0
            for value in series:
                total += value
            summaries[metric] = Summary(
                count=len(series), mean=total / len(series), least=min(series), greatest=max(series), last=series[-1]
            )
        yield Minute(subject=GPU, at=at, values=summaries)


@given(readings)
def test_a_roll_up_is_the_direct_computation(those: list[Reading]) -> None:
    hour = HourOfMinutes(HOUR)
    for at, values in those:
        hour.add(at, values)
    assert hour.minutes(GPU) == list(computed(those))


@given(readings, st.lists(st.integers(0, 40), max_size=4))
def test_portions_make_no_difference(those: list[Reading], cuts: list[int]) -> None:
    hour = HourOfMinutes(HOUR)
    for index, (at, values) in enumerate(those):
        if index in cuts:
            hour = unpack_minutes(pack_minutes(hour), HOUR)
        hour.add(at, values)
    assert unpack_minutes(pack_minutes(hour), HOUR).minutes(GPU) == list(computed(those))


def test_nan_makes_the_mean_nan_and_leaves_the_others_their_extremes() -> None:
    hour = HourOfMinutes(0)
    for at, value in enumerate([math.nan, 3.0, math.nan, 1.0]):
        hour.add(float(at), {"loss": value})
    (minute,) = hour.minutes(GPU)
    summary = minute.values["loss"]
    assert (summary.count, summary.least, summary.greatest, summary.last) == (4, 1.0, 3.0, 1.0)
    assert math.isnan(summary.mean)


@pytest.mark.parametrize(("at", "hour"), [(0.0, 0), (3599.999, 0), (3600.0, 1), (-0.5, -1), (1.7e9, 472_222)])
def test_an_hour_begins_with_its_first_second(at: float, hour: int) -> None:
    assert hour_of(at) == hour


def test_an_hour_that_lacks_a_column_is_damaged() -> None:
    with pytest.raises(PackingError, match=r"lacks the column 'a\.sum'"):
        unpack_minutes(pack_table(60, {"a.count": [1.0] * 60}), 0)
