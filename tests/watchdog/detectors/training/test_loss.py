"""What is said of a loss: kinds, classes, where it began and ended, gravity."""

import math
import random

import pytest

from watchdog.detectors.training.watch import SeriesWatch, watch_series
from watchdog.detectors.training.words import Mark, MarkKind, Point
from watchdog.vocabulary.findings import Severity

NAN = math.nan


def norms(count, seed=0):
    source = random.Random(f"norms {seed}")
    return [0.3 * math.exp(source.gauss(0, 0.15)) for _ in range(count)]


def test_a_calm_loss_gives_nothing_at_all(calm, found):
    assert found(calm(20_000)) == []


def test_a_falling_loss_gives_nothing_though_it_flattens(calm, found):
    losses = [2 + 9 / (1 + step / 20) ** 0.5 + noise for step, noise in enumerate(calm(4000, level=0.0))]
    assert found(losses) == []


def test_one_high_step_is_a_spike_of_one_step(calm, found):
    losses = calm()
    losses[400] = 3.2
    assert found(losses) == [("spike", "one_step", 400, 400)]


def test_a_spike_that_comes_back_slowly_is_a_plateau_and_grave_from_twenty_steps_on(calm):
    losses = calm()
    losses[400:430] = [loss + 0.6 for loss in losses[400:430]]
    [event] = watch_series([Point(step=step, loss=loss) for step, loss in enumerate(losses)])
    assert (event.shape, event.start, event.end, event.severity) == ("plateau", 400, 429, Severity.FAIL)
    assert event.evidence["num_points"] == 30


def test_one_event_keeps_its_key_from_first_telling_to_last(calm):
    losses = calm()
    losses[400:] = [loss + 0.5 for loss in losses[400:]]
    watch = SeriesWatch()
    told = [event for step, loss in enumerate(losses) for event in watch.observe(Point(step=step, loss=loss))]
    assert [(event.shape, event.is_open) for event in told] == [
        ("one_step", True),
        ("plateau", True),
        ("plateau", True),
        ("not_recovering", True),
        ("not_recovering", False),
    ]
    assert len({event.key for event in told}) == 1


def test_a_loss_that_returns_after_the_breaker_came_back_after_all(calm, found):
    losses = calm()
    losses[300:370] = [loss + 0.5 for loss in losses[300:370]]
    assert found(losses) == [("spike", "plateau", 300, 349)]


def test_a_gradient_norm_that_leads_gives_the_onset(calm):
    losses, grads = calm(), norms(600)
    grads[396:404] = [1.2, 4.0, 15.0, 90.0, 400.0, 90.0, 20.0, 4.0]
    losses[400:403] = [5.0, 3.5, 3.0]
    rows = zip(losses, grads, strict=True)
    [event] = watch_series([Point(step=step, loss=loss, grad_norm=grad) for step, (loss, grad) in enumerate(rows)])
    assert (event.kind, event.metric, event.onset) == ("spike", "loss", 396)
    assert 396 <= event.start <= 397


def test_a_gradient_norm_alone_is_a_spike_of_the_norm(calm):
    losses, grads = calm(), norms(600)
    grads[400] = 30.0
    rows = zip(losses, grads, strict=True)
    [event] = watch_series([Point(step=step, loss=loss, grad_norm=grad) for step, (loss, grad) in enumerate(rows)])
    assert (event.kind, event.metric, event.start, event.end) == ("spike", "grad_norm", 400, 400)


def test_an_update_norm_alone_is_a_spike_of_the_update(calm):
    losses, updates = calm(), norms(600)
    updates[400] = 30.0
    rows = zip(losses, updates, strict=True)
    [event] = watch_series([Point(step=step, loss=loss, update_norm=one) for step, (loss, one) in enumerate(rows)])
    assert (event.metric, event.start) == ("update_norm", 400)
    assert "update norm jumped from 0.3" in event.message


def test_three_of_ten_that_are_no_numbers_are_persistent(calm, found):
    losses = calm()
    losses[300] = losses[304] = losses[308] = NAN
    assert found(losses) == [("nonfinite", "persistent", 300, 308)]


def test_numbers_that_are_none_to_the_end_last(calm, found):
    assert found([*calm(100), *[NAN] * 8]) == [("nonfinite", "persistent", 100, None)]


def test_a_skipped_step_of_a_gradient_scaler_is_in_order(calm):
    points = [Point(step=step, loss=loss, grad_norm=1.0, loss_scale=65536.0) for step, loss in enumerate(calm())]
    points[300] = Point(step=300, loss=2.5, grad_norm=math.inf, loss_scale=32768.0, is_skipped=True)
    assert watch_series(points) == []


def test_a_loss_scale_that_halves_again_and_again_is_told_before_the_loss_is(calm):
    scales = [2.0**20] * 300 + [2.0 ** (20 - halvings) for halvings in range(1, 7)] + [2.0**14] * 20
    points = [
        Point(step=step, loss=loss, loss_scale=scale)
        for step, (loss, scale) in enumerate(zip(calm(326), scales, strict=True))
    ]
    [event] = watch_series(points)
    assert (event.kind, event.shape, event.start) == ("nonfinite", "collapse", 303)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_declared_stage_may_change_the_level(calm, found, factor):
    losses = calm(1200)
    losses[600:] = [loss * factor for loss in losses[600:]]
    assert found(losses, marks=[Mark(kind=MarkKind.STAGE, start=600)]) == []


def test_steps_trained_again_after_a_rollback_are_judged_and_leave_no_trace(calm):
    losses = calm(800)
    points = [Point(step=step, loss=loss) for step, loss in enumerate(losses)]
    again = [Point(step=step, loss=loss) for step, loss in enumerate(losses[500:600], start=500)]
    marks = [Mark(kind=MarkKind.OVERLAP, start=500, end=599)]
    watch = SeriesWatch()
    for point in points[:600]:
        watch.observe(point)
    before = watch.spike.loss.level.count
    watch.mark(marks[0])
    assert [event for point in again for event in watch.observe(point)] == []
    assert watch.spike.loss.level.count == before


def test_a_slow_ramp_below_any_single_step_is_a_divergence(calm, found):
    losses = calm(2000)
    losses[1000:] = [loss * (1 + 0.0004 * step) for step, loss in enumerate(losses[1000:])]
    [(kind, shape, start, end)] = found(losses)
    assert (kind, shape, end) == ("divergence", "ramp", None)
    assert 1000 <= start <= 1150


def test_a_loss_that_gets_noisier_is_noise_and_no_spike(calm, found):
    losses = [*calm(1500), *calm(1500, noise=0.04, seed=1)]
    [(kind, shape, start, _)] = [event for event in found(losses) if event[0] != "spike"]
    assert (kind, shape) == ("noise", "noisier")
    assert 1400 <= start <= 1700


def test_a_loss_noisier_than_the_reference_is_told_though_it_never_changed(calm, found):
    reference = [Point(step=step, loss=loss) for step, loss in enumerate(calm(3000))]
    [(kind, shape, *_)] = found(calm(3000, noise=0.04, seed=1), reference=reference)
    assert (kind, shape) == ("noise", "noisier")


def test_a_standing_offset_of_a_percent_is_told_against_a_reference_and_a_quarter_is_not(calm, found):
    reference = [Point(step=step, loss=loss) for step, loss in enumerate(calm(3000))]
    off = [loss * 1.012 for loss in calm(3000, seed=1)]
    near = [loss * 1.0028 for loss in calm(3000, seed=1)]
    assert [event[:2] for event in found(off, reference=reference)] == [("offset", "above_reference")]
    assert found(near, reference=reference) == []


def test_a_reference_is_met_at_equal_tokens_where_both_have_them(calm):
    reference = [Point(step=step, tokens=step * 100, loss=loss) for step, loss in enumerate(calm(3000))]
    halved = [Point(step=step, tokens=step * 200, loss=loss * 1.02) for step, loss in enumerate(calm(1500, seed=1))]
    [event] = watch_series(halved, reference=reference)
    assert event.kind == "offset"
    assert event.evidence["ratio"] == pytest.approx(0.02, abs=0.003)


def test_a_state_of_another_version_is_refused(calm):
    watch = SeriesWatch()
    with pytest.raises(ValueError, match="version 0, not 1"):
        watch.restore({**watch.state(), "version": 0})
    with pytest.raises(ValueError, match="of another version: noise differ"):
        watch.restore({name: part for name, part in watch.state().items() if name != "noise"})
