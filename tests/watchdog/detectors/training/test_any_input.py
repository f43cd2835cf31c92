"""No input raises, blinds the detectors for good, or makes them depend on how it is cut or saved."""

import json
import math
import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.detectors.training.ranks import RankWatch
from watchdog.detectors.training.rivals import RIVALS
from watchdog.detectors.training.watch import SeriesWatch, watch_series
from watchdog.detectors.training.words import KINDS, Mark, MarkKind, Point, RankPoint

numbers = st.one_of(
    st.none(),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, -1.0, 1e30, 1e-30, 5e-324, 1.7976931348623157e308]),
    st.floats(),
    st.floats(min_value=1.0, max_value=4.0),
)
steps = st.one_of(st.integers(0, 3000), st.sampled_from([-5, 0, 10**15, 10**30]))
points = st.builds(
    Point,
    step=steps,
    tokens=st.one_of(st.none(), steps),
    loss=numbers,
    grad_norm=numbers,
    update_norm=numbers,
    loss_scale=numbers,
    tokens_per_second=numbers,
    seconds=numbers,
    times=st.dictionaries(st.sampled_from(["data", "forward", "communication"]), st.floats(), max_size=2),
    is_skipped=st.booleans(),
)
# What a trainer declares is believed: a mark over all of the run would leave all of it out, as it says.
places = st.integers(0, 3000)
marks = st.builds(Mark, kind=st.sampled_from(MarkKind), start=places, end=st.one_of(st.none(), places))


def rows(max_runs=12):
    """Runs of one point each repeated up to 80 times: constant stretches long enough to fill windows."""
    runs = st.lists(st.tuples(st.one_of(points, marks), st.integers(1, 80)), max_size=max_runs)
    return runs.map(lambda many: [item for item, times in many for _ in range(times)])


def fed(watch, row):
    """What it says of the row, as plain data."""
    told = []
    for item in row:
        told += watch.mark(item) if isinstance(item, Mark) else watch.observe(item)
    return told


def healthy(count, seed=0, first=10**6):
    source = random.Random(seed)
    return [
        Point(
            step=first + index,
            loss=2.5 + source.gauss(0, 0.02),
            grad_norm=0.3 * math.exp(source.gauss(0, 0.1)),
            tokens_per_second=13800 * math.exp(source.gauss(0, 0.005)),
        )
        for index in range(count)
    ]


@given(rows(), st.lists(points, max_size=40))
@settings(max_examples=150, deadline=None)
def test_nothing_raises_and_every_finding_is_json(row, reference):
    watch = SeriesWatch(reference=reference)
    for event in [*fed(watch, row), *watch.finish()]:
        assert event.kind in KINDS
        assert event.onset <= event.start
        assert event.message
        json.dumps(dict(event.evidence), allow_nan=False)
    json.dumps(watch.state(), allow_nan=False)


@given(rows())
@settings(max_examples=60, deadline=None)
def test_nothing_blinds_for_good(row):
    watch = SeriesWatch()
    fed(watch, row)
    vetoed = []
    for point in healthy(700):
        watch.observe(point)
        vetoed.append(watch.is_out)
    assert not any(vetoed[-300:])
    spike = Point(step=10**6 + 700, loss=2.5 * 1.3, grad_norm=0.3, tokens_per_second=13800)
    watch.observe(spike)
    assert watch.is_out


@given(rows(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_state_saved_and_loaded_in_the_middle_changes_nothing(row, data):
    cut = data.draw(st.integers(0, len(row)))
    straight, first, second = SeriesWatch(), SeriesWatch(), SeriesWatch()
    whole = [*fed(straight, [*row, *healthy(60)]), *straight.finish()]
    told = fed(first, row[:cut])
    second.restore(json.loads(json.dumps(first.state())))
    told += [*fed(second, [*row[cut:], *healthy(60)]), *second.finish()]
    assert told == whole
    assert second.state() == straight.state()


@given(st.lists(st.integers(0, 400), max_size=6), st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_how_a_series_is_cut_into_chunks_changes_nothing(cuts, seed):
    row = healthy(400, seed)
    row[200] = Point(step=row[200].step, loss=9.0)
    watch = SeriesWatch()
    borders = [0, *sorted(cuts), 400]
    told = [event for a, b in pairwise(borders) for event in fed(watch, row[a:b])]
    events = {event.key: event for event in [*told, *watch.finish()]}
    assert sorted(events.values(), key=lambda event: (event.start, event.kind)) == watch_series(iter(row))


rank_points = st.builds(
    RankPoint,
    rank=st.integers(0, 5),
    step=steps,
    at_seconds=st.floats(),
    seconds=numbers,
    work_seconds=numbers,
    times=st.dictionaries(st.sampled_from(["data", "communication"]), st.floats(), max_size=2),
    open_section=st.sampled_from(["", "data", "communication", "checkpoint"]),
    is_done=st.booleans(),
)


@given(st.lists(rank_points, max_size=120), st.lists(st.floats(), max_size=3), st.data())
@settings(max_examples=100, deadline=None)
def test_ranks_may_say_anything(row, looks, data):
    cut = data.draw(st.integers(0, len(row)))
    straight, other = RankWatch(6), RankWatch(6)
    for watch in (straight, other):
        told = []
        for index, point in enumerate(row):
            if index == cut and watch is other:
                watch = RankWatch(6)  # noqa: PLW2901 - goes on from the state of the one before
                watch.restore(json.loads(json.dumps(other.state())))
            told += watch.observe(point)
        told += [event for now in looks for event in watch.look(now)]
        told += watch.finish()
        if watch is straight:
            whole = told
    assert told == whole
    for event in whole:
        json.dumps(dict(event.evidence), allow_nan=False)


@given(rows())
@settings(max_examples=60, deadline=None)
def test_published_rules_may_be_given_anything(row):
    for rival in RIVALS.values():
        rule = rival.rule()
        assert all(rule.is_alarm(item) in (True, False) for item in row if isinstance(item, Point))
