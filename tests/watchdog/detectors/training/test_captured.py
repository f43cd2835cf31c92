"""Captured public curves with labels: what must be found is found, and nothing else is said."""

import pytest

from bench.detector_curves import DATA, captured
from bench.detector_scores import LOSS, Score, add, ours, theirs
from watchdog.detectors.training.rivals import RIVALS
from watchdog.detectors.training.watch import watch_series

pytestmark = pytest.mark.skipif(not (DATA / "curves").is_dir(), reason=f"no captured curves in {DATA}")


@pytest.fixture(scope="module")
def curves():
    return captured()


def score_of(curves, judge=ours):
    score = Score()
    for curve in curves:
        add(score, curve, *judge(curve))
    return score


def test_of_all_labelled_events_at_least_95_percent_are_found_and_nothing_is_made_up(curves):
    score = score_of(curves)
    assert score.truths == 439
    assert score.recall >= 0.95
    assert score.precision >= 0.95
    assert score.clean_points == 23_000
    assert score.clean_alarms == 0


@pytest.mark.parametrize("name", [name for name, rival in RIVALS.items() if rival.is_of_loss])
def test_no_published_rule_has_a_better_f1_on_losses(curves, name):
    losses = [curve for curve in curves if curve.kind in (*LOSS, "clean")]
    rival = score_of(losses, lambda curve: theirs(curve, RIVALS[name].rule, "spike"))
    assert score_of(losses).f1 > rival.f1


def test_the_weka_shift_has_its_start_and_end(curves):
    weka = next(curve for curve in curves if curve.name == "weka-shift")
    [shift] = [event for event in watch_series(weka.points) if event.kind == "shift"]
    assert abs(shift.start - 1939) <= 10
    assert shift.end == 3118
    assert shift.evidence["ratio"] == pytest.approx(0.61, abs=0.03)


def test_blooms_spike_is_seen_from_three_logged_steps_before_its_loss(curves):
    bloom = next(curve for curve in curves if curve.name == "bloom")
    [event] = watch_series(bloom.points)
    assert (event.onset, event.start, event.end, event.shape) == (31215, 31216, 31222, "plateau")


def test_the_run_that_did_not_recover_is_a_divergence_after_its_precursor(curves):
    run = next(curve for curve in curves if curve.name == "smollm3-non-recoverable")
    precursor, divergence = watch_series(run.points)
    assert (precursor.kind, precursor.start) == ("spike", 33250344960)
    assert (divergence.kind, divergence.shape) == ("divergence", "ramp")
    assert 35e9 < divergence.start < 36.6e9


def test_the_slow_worker_is_named(curves):
    alibaba = next(curve for curve in curves if curve.name == "alibaba")
    said, _ = ours(alibaba)
    assert [(each.start, each.end) for each in said] == [(1811, 1981)]
