"""Five traps in which published rules skip for ever or see nothing: loss 2.5 +- 0.02, 600 steps, trouble at 300."""

import pytest

NAN = float("nan")


@pytest.mark.parametrize("seed", range(5))
def test_one_nan_is_one_event_and_no_later_step_is_vetoed(calm, found, vetoed, seed):
    losses = calm(seed=seed)
    losses[300] = NAN
    assert found(losses) == [("nonfinite", "one_step", 300, 300)]
    assert vetoed(losses) == [300]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.12, 0.25])
def test_a_permanent_shift_is_one_event_and_the_breaker_ends_the_vetoes(calm, found, vetoed, seed, share):
    losses = calm(seed=seed)
    losses[300:] = [loss + 2.5 * share for loss in losses[300:]]
    assert found(losses) == [("spike", "not_recovering", 300, 349)]
    assert vetoed(losses) == list(range(300, 349))


@pytest.mark.parametrize("seed", range(5))
def test_a_ramp_of_a_hundredth_a_step_is_one_divergence_that_lasts(calm, found, vetoed, seed):
    losses = calm(seed=seed)
    losses[300:] = [loss + 0.01 * step for step, loss in enumerate(losses[300:])]
    [(kind, shape, start, end)] = found(losses)
    assert (kind, shape, end) == ("divergence", "ramp", None)
    assert 305 <= start <= 325
    assert vetoed(losses) == list(range(start, start + 49))


@pytest.mark.parametrize("seed", range(5))
def test_a_loss_of_exactly_zero_is_an_alarm_and_leaves_no_trace(calm, found, vetoed, seed):
    losses = calm(seed=seed)
    losses[300] = 0.0
    assert found(losses) == [("nonfinite", "zero", 300, 300)]
    assert vetoed(losses) == [300]


@pytest.mark.parametrize("seed", range(5))
def test_after_each_trap_the_next_spike_is_found(calm, found, seed):
    losses = calm(count=900, seed=seed)
    losses[300:] = [loss * 1.25 for loss in losses[300:]]
    losses[600] *= 1.2
    losses[450] = NAN
    assert ("spike", "one_step", 600, 600) in found(losses)
