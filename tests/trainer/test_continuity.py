from dataclasses import replace
from math import inf, nan, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_plan import plan, stage

from trainer.continuity import MOST_STEPS, OTHER_LAYOUT_RATIO, Continuity, comparable
from trainer.metrics.past import Made

LOSSES = st.floats(0.01, 20.0)


def made(loss: float | None = 2.5, batch: str = "aa", *, is_updated: bool = True) -> Made:
    return Made(loss=loss, batch=batch, is_updated=is_updated, way="dp 2")


def guard(*logged: Made, way: str = "dp 2", first: int = 11) -> Continuity:
    """Of an attempt that goes on before step `first`."""
    return Continuity(logged=dict(enumerate(logged, first)), from_step=first - 1, way=way)


@given(LOSSES)
def test_an_equal_loss_goes_on(loss: float) -> None:
    assert guard(made(loss)).problem(11, made(loss)) == ""
    assert guard(made(loss), way="dp 4").problem(11, made(loss)) == ""


@given(LOSSES, st.sampled_from([-inf, inf]))
def test_one_bit_is_too_much_in_an_equal_layout(loss: float, towards: float) -> None:
    assert guard(made(loss)).problem(11, made(nextafter(loss, towards))) != ""


def test_the_sentence_names_the_step_and_both_values() -> None:
    assert guard(made(2.5)).problem(11, made(nextafter(2.5, 3))) == (
        "step 11 gave loss 2.5000000000000004 and before this resume 2.5; with equal layout and versions they must be "
        "equal to the bit: data, state or hardware differ"
    )
    assert guard(made(2.5), way="dp 4").problem(11, made(2.6)) == (
        "step 11 gave loss 2.600000 and before this resume 2.500000, more than 0.001 of it apart: data, state or "
        "hardware differ"
    )


@given(LOSSES, st.floats(-0.99, 0.99))
def test_another_layout_may_round_otherwise(loss: float, share: float) -> None:
    seen = loss * (1 + share * OTHER_LAYOUT_RATIO)
    assert guard(made(loss), way="dp 4").problem(11, made(seen)) == ""
    assert guard(made(loss), way="dp 4").problem(11, made(loss * (1 + 1.01 * OTHER_LAYOUT_RATIO))) != ""


def test_what_counts_is_how_the_logged_step_was_made_and_not_the_state_gone_on_from() -> None:
    """Attempts in two layouts may have gone on from one checkpoint."""
    both = Continuity(logged={11: made(2.5), 12: replace(made(2.5), way="dp 4")}, from_step=10, way="dp 2")
    assert both.problem(11, made(2.5001)) != ""
    assert both.problem(12, made(2.5001)) == ""


def test_kernels_that_are_not_deterministic_need_not_give_the_same_bits() -> None:
    assert guard(replace(made(2.5), way=""), way="").problem(11, made(2.5001)) == ""


def test_other_samples_are_a_problem_however_close_the_loss_is() -> None:
    for way in ("dp 2", "dp 4", ""):
        assert guard(made(batch="aa"), way=way).problem(11, made(batch="bb")) == (
            "step 11 was trained on other samples than before this resume: their digests are bb and aa; the sources, "
            "or the plan that orders them, have changed"
        )


def test_a_step_that_nobody_logged_is_no_problem() -> None:
    assert guard(made()).problem(12, made(9.0)) == ""
    assert Continuity(logged={}, from_step=0, way="dp 2").problem(1, made()) == ""


def test_another_layout_is_compared_only_as_long_as_rounding_has_not_led_elsewhere() -> None:
    logged = guard(*[made(2.5)] * 20, way="dp 4")
    assert logged.problem(10 + MOST_STEPS, made(3.0)) != ""
    assert logged.problem(11 + MOST_STEPS, made(3.0)) == ""
    assert guard(*[made(2.5)] * 20).problem(11 + MOST_STEPS, made(3.0)) != ""


@pytest.mark.parametrize("before", [made(), made(nan, is_updated=False)])
def test_after_a_step_that_is_skipped_now_nothing_is_compared(before: Made) -> None:
    skipped = made(None, "", is_updated=False)
    first = guard(made(), made(), made())
    assert first.problem(11, skipped) == ""
    rest = first.after(11, skipped)
    assert rest.is_over
    assert rest.problem(12, made(9.0)) == ""


def test_after_a_veto_that_was_none_before_nothing_is_compared_and_the_step_itself_still_is() -> None:
    first = guard(made(2.5), made(2.5))
    vetoed = made(2.5, is_updated=False)
    assert first.problem(11, vetoed) == ""
    assert first.problem(11, made(2.6, is_updated=False)) != ""
    assert first.after(11, vetoed).problem(12, made(9.0)) == ""


def test_steps_skipped_both_times_do_not_end_the_comparison() -> None:
    skipped = made(None, "", is_updated=False)
    rest = guard(skipped, made(2.5)).after(11, skipped)
    assert rest.problem(12, made(2.6)) != ""


def test_a_loss_that_is_no_number_at_one_time_is_judged_by_the_veto_and_not_here() -> None:
    assert guard(made(2.5)).problem(11, made(nan, is_updated=False)) == ""
    assert guard(made(nan, is_updated=False)).problem(11, made(2.5)) == ""
    assert guard(made(nan, is_updated=False)).problem(11, made(nan, is_updated=False)) == ""


LOGGED = {step: made(float(step)) for step in range(1, 151)}


def test_by_the_same_plan_all_steps_after_the_state_can_be_compared() -> None:
    assert sorted(comparable(LOGGED, plan(), plan(), 100)) == list(range(101, 151))


def test_by_an_edited_plan_only_the_steps_that_it_leaves_as_they_were() -> None:
    """The second stage's learning rate is edited, and a state of the first stage is gone on from."""
    before = plan(stage("one", steps=120), stage("two", steps=100))
    now = plan(stage("one", steps=120), stage("two", steps=100, lr=5e-4))
    assert sorted(comparable(LOGGED, before, now, 100)) == list(range(101, 121))
    assert comparable(LOGGED, before, now, 120) == {}
