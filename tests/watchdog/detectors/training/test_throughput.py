"""What is said of throughput: drops, shifts, drifts, the phase that got longer, and what was planned."""

import pytest

from watchdog.detectors.training.watch import watch_series
from watchdog.detectors.training.words import Mark, MarkKind, Point
from watchdog.vocabulary.findings import Severity

PHASES = {"data": 0.01, "forward": 0.15, "backward": 0.24, "communication": 0.05}


def points(rates, times=None):
    return [
        Point(step=step, tokens_per_second=rate, times=(times or {}).get(step, PHASES))
        for step, rate in enumerate(rates)
    ]


def test_even_throughput_gives_nothing(rates):
    assert watch_series(points(rates(20_000))) == []


def test_a_deep_drop_is_told_with_its_length_and_depth(rates):
    values = rates()
    values[500:505] = [800.0] * 5
    [event] = watch_series(points(values))
    assert (event.kind, event.shape, event.start, event.end) == ("drop", "deep", 500, 504)
    assert event.evidence["ratio"] == pytest.approx(0.058, abs=0.001)
    assert event.evidence["num_points"] == 5


def test_the_phase_that_a_drop_was_spent_in_is_named(rates):
    values = rates()
    values[500] = 800.0
    [event] = watch_series(points(values, times={500: {**PHASES, "data": 7.2}}))
    assert event.evidence["phase"] == "data"
    assert event.message.endswith("data got longer")


@pytest.mark.parametrize("phase", ["data", "communication", "gc"])
def test_a_shift_is_told_with_its_start_its_end_and_its_phase(rates, phase):
    values = rates(2000)
    values[800:1500] = [value * 0.61 for value in values[800:1500]]
    times = {step: {**PHASES, phase: 0.3} for step in range(800, 1500)}
    [event] = watch_series(points(values, times))
    assert (event.kind, event.shape, event.start, event.end) == ("shift", "lower", 800, 1499)
    assert event.severity is Severity.FAIL
    assert event.evidence["phase"] == phase
    assert event.evidence["ratio"] == pytest.approx(0.61, abs=0.01)


def test_a_shift_of_seven_percent_is_a_warning(rates):
    values = rates(2000)
    values[800:] = [value * 0.93 for value in values[800:]]
    [event] = [found for found in watch_series(points(values)) if found.kind == "shift"]
    assert (event.end, event.severity) == (None, Severity.WARN)
    assert 795 <= event.start <= 805


def test_drops_are_found_on_the_lower_level_of_a_shift(rates):
    values = rates(2000)
    values[800:1500] = [value * 0.61 for value in values[800:1500]]
    values[1100:1102] = [900.0, 900.0]
    events = [(event.kind, event.start, event.end) for event in watch_series(points(values))]
    assert events == [("shift", 800, 1499), ("drop", 1100, 1101)]


def test_a_shift_that_stays_for_thousands_of_steps_becomes_the_level_and_the_next_is_found(rates):
    values = rates(9000)
    values[800:] = [value * 0.8 for value in values[800:]]
    values[7500:] = [value * 0.8 for value in values[7500:]]
    shifts = [(event.shape, event.start) for event in watch_series(points(values)) if event.kind == "shift"]
    assert shifts == [("stayed", 800), ("lower", 7500)]


def test_a_step_time_that_grows_with_the_step_number_is_a_drift(rates):
    values = [rate * (1 - 0.04 * step / 4000) for step, rate in enumerate(rates(4000))]
    [event] = watch_series(points(values))
    assert (event.kind, event.shape, event.end) == ("drift", "grows_with_step", None)
    assert 0.02 <= event.evidence["lost_ratio"] <= 0.041


def test_a_level_that_sank_by_three_percent_is_a_drift_without_a_line(rates):
    values = rates(4000)
    values[2000:] = [value * 0.97 for value in values[2000:]]
    [event] = watch_series(points(values))
    assert (event.kind, event.shape) == ("drift", "sank")


@pytest.mark.parametrize("kind", [MarkKind.CHECKPOINT, MarkKind.EVAL, MarkKind.PAUSE])
def test_planned_slow_steps_are_not_judged(rates, kind):
    values = rates()
    values[500:504] = [2000.0] * 4
    assert watch_series(points(values), [Mark(kind=kind, start=500, end=503)]) == []


def test_the_first_step_after_a_restart_is_not_judged(rates):
    values = rates()
    values[500] = 1500.0
    assert watch_series(points(values), [Mark(kind=MarkKind.RESTART, start=500)]) == []
    assert [event.kind for event in watch_series(points(values))] == ["drop"]


def test_a_rewind_that_nobody_declared_is_a_restart(rates):
    row = points(rates())
    row[500:] = [Point(step=point.step - 100, tokens_per_second=point.tokens_per_second) for point in row[500:]]
    row[500] = Point(step=400, tokens_per_second=1500.0)
    assert watch_series(row) == []


@pytest.mark.parametrize("kind", [MarkKind.STAGE, MarkKind.LAYOUT])
def test_another_stage_or_layout_finds_its_own_level(rates, kind):
    values = rates(2000)
    values[1000:] = [value * 0.6 for value in values[1000:]]
    assert watch_series(points(values), [Mark(kind=kind, start=1000)]) == []


def test_step_seconds_stand_in_for_tokens(rates):
    row = [Point(step=step, seconds=6000 / rate) for step, rate in enumerate(rates())]
    row[500] = Point(step=500, seconds=9.0)
    assert [(event.kind, event.start) for event in watch_series(row)] == [("drop", 500)]
