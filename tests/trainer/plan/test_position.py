"""Where a step lies, and its learning rate."""

from dataclasses import replace
from math import cos, pi, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainer_plans import a_plan, plans, stages

from trainer.plan import Decay, Stage
from trainer.plan.position import Place, last_step_of, lr_at, place_of

A_STAGE = Stage(name="s", steps=20, sequence_length=32, batch=4, mixture={"web": 1.0}, lr=1.0)


def rates(stage):
    plan = replace(a_plan(), stages=(stage,))
    return [lr_at(plan, step) for step in range(1, stage.steps + 1)]


def test_a_plans_steps_are_numbered_from_1_through_its_stages():
    plan = a_plan()
    assert place_of(plan, 1) == Place(stage=0, step_in_stage=0, first_sample=0, num_samples=8)
    assert place_of(plan, 60) == Place(stage=0, step_in_stage=59, first_sample=472, num_samples=8)
    assert place_of(plan, 61) == Place(stage=1, step_in_stage=0, first_sample=0, num_samples=8)
    assert place_of(plan, 100) == Place(stage=1, step_in_stage=39, first_sample=312, num_samples=8)


@pytest.mark.parametrize("step", [-1, 0, 101])
def test_steps_outside_of_the_plan_have_no_place(step):
    with pytest.raises(ValueError, match=f"step {step} is outside the plan's 100 steps"):
        place_of(a_plan(), step)


@settings(max_examples=40, deadline=None)
@given(plans())
def test_places_go_through_each_stages_samples_once_and_in_order(plan):
    places = [place_of(plan, step) for step in range(1, plan.num_steps + 1)]
    for index, stage in enumerate(plan.stages):
        own = [place for place in places if place.stage == index]
        assert [place.step_in_stage for place in own] == list(range(stage.steps))
        samples = [number for place in own for number in range(place.first_sample, place.first_sample + stage.batch)]
        assert samples == list(range(stage.num_samples))
    assert [place.stage for place in places] == sorted(place.stage for place in places)


@settings(max_examples=40, deadline=None)
@given(plans())
def test_the_last_step_of_a_stage_is_the_one_before_the_next(plan):
    for index in range(len(plan.stages)):
        last = last_step_of(plan, index)
        assert place_of(plan, last).stage == index
        assert last == plan.num_steps or place_of(plan, last + 1).stage == index + 1


def test_the_warm_up_ends_at_the_peak_and_its_first_step_is_already_above_the_start():
    stage = replace(A_STAGE, warmup_steps=4, lr_start=0.2)
    assert rates(stage)[:5] == pytest.approx([0.4, 0.6, 0.8, 1.0, 1.0])


@pytest.mark.parametrize(
    ("decay", "half"),
    [(Decay.LINEAR, 0.5), (Decay.COSINE, (1 + cos(pi / 2)) / 2), (Decay.MINUS_SQRT, 1 - sqrt(0.5))],
)
def test_the_decay_reaches_its_end_at_the_last_step(decay, half):
    found = rates(replace(A_STAGE, decay_steps=10, lr_end=0.1, decay=decay))
    assert found[:10] == [1.0] * 10
    assert found[14] == pytest.approx(0.1 + 0.9 * half)
    assert found[-1] == pytest.approx(0.1)


@settings(max_examples=40, deadline=None)
@given(stages("s", ["web"]))
def test_the_rate_never_leaves_the_room_between_its_ends_and_the_peak(stage):
    starts = [stage.lr_start] if stage.warmup_steps else []
    ends = [stage.lr_end] if stage.decay_steps else []
    lowest = min([stage.lr, *starts, *ends])
    for rate in rates(stage):
        assert lowest - 1e-12 * stage.lr <= rate <= stage.lr


@settings(max_examples=40, deadline=None)
@given(stages("s", ["web"]))
def test_the_rate_rises_in_the_warm_up_rests_and_falls_in_the_decay(stage):
    found = rates(stage)
    begin, end = stage.warmup_steps, stage.steps - stage.decay_steps
    assert found[:begin] == sorted(found[:begin])
    assert found[begin:end] == [stage.lr] * (end - begin)
    assert found[end:] == sorted(found[end:], reverse=True)


@settings(max_examples=40, deadline=None)
@given(stages("s", ["web"]))
def test_the_rate_makes_no_jump_at_the_borders_of_its_phases(stage):
    """No step changes it by more than the phase's own steepest step does."""
    found = rates(stage)
    begin, end = stage.warmup_steps, stage.steps - stage.decay_steps
    if begin:
        rise = (stage.lr - stage.lr_start) / begin
        assert found[begin - 1] == stage.lr
        assert found[0] - stage.lr_start == pytest.approx(rise, abs=1e-12)
    if stage.decay_steps:
        fall = stage.lr - stage.lr_end
        first = {
            Decay.LINEAR: 1 / stage.decay_steps,
            Decay.COSINE: (1 - cos(pi / stage.decay_steps)) / 2,
            Decay.MINUS_SQRT: sqrt(1 / stage.decay_steps),
        }[stage.decay]
        before = found[end - 1] if end else stage.lr
        assert before - found[end] == pytest.approx(fall * first, abs=1e-9 * stage.lr)
        assert found[-1] == pytest.approx(stage.lr_end, abs=1e-12 * stage.lr)


@settings(max_examples=40, deadline=None)
@given(plans(), st.data())
def test_a_steps_rate_is_of_its_stage_alone(plan, data):
    step = data.draw(st.integers(1, plan.num_steps))
    place = place_of(plan, step)
    alone = replace(plan, stages=(plan.stages[place.stage],))
    assert lr_at(plan, step) == lr_at(alone, place.step_in_stage + 1)
