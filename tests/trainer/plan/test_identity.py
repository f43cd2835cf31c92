"""Hashes of plans, and the edits that a run which has begun can bear."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import run

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trainer_plans import a_plan, plans, stages

from trainer.plan import Decay
from trainer.plan.identity import changes, past_hash, plan_hash, refuse_edit, resharded
from trainer.plan.position import lr_at, place_of
from watchdog.vocabulary.errors import UsageError

OLD = a_plan()


def test_a_plans_hash_is_the_same_in_every_process():
    program = "from trainer_plans import a_plan; from trainer.plan.identity import *; "
    program += "print(plan_hash(a_plan()), past_hash(a_plan(), 50))"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "fakes"), "PYTHONHASHSEED": "5"}
    found = run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.split() == [plan_hash(OLD), past_hash(OLD, 50)]


def test_any_other_value_is_another_plan():
    assert plan_hash(a_plan(checkpoints__every_steps=7)) != plan_hash(OLD)
    assert plan_hash(a_plan(name="other")) != plan_hash(OLD)


@settings(max_examples=40, deadline=None)
@given(plans(), st.data())
def test_a_plan_bears_itself(plan, data):
    step = data.draw(st.integers(0, plan.num_steps))
    assert changes(plan, plan, step) == []


FREE = [
    {"name": "other"},
    {"checkpoints__every_steps": 5, "checkpoints__keep_last": 9},
    {"evaluation__every_steps": 5},
    {"metrics__tensorboard": True},
    {"parallel__tensor": 2, "parallel__world": 8, "parallel__micro_batch": 2},
    {"sources__more": {"text": "x"}},
    {"sources__web__tokens": 10**9},
    {"stage__1__batch": 16},
    {"stage__1__mixture": {"web": 0.5, "code": 0.5}},
    {"stage__1__name": "otherwise"},
    {"stage__1__rope_theta": 1e6},
    {"stage__0__steps": 600},
    {"stage__0__steps": 45},
    {"stage__0__decay_steps": 15},
    {"stage__0__decay": "cosine"},
]


@pytest.mark.parametrize("edit", FREE, ids=str)
def test_what_changes_nothing_of_45_steps_may_be_edited(edit):
    new = a_plan(**edit)
    assert changes(OLD, new, 45) == []
    assert past_hash(new, 45) == past_hash(OLD, 45)
    refuse_edit(OLD, new, 45)


def test_stages_may_be_appended_when_all_is_done():
    new = replace(OLD, stages=(*OLD.stages, replace(OLD.stages[1], name="three")))
    assert changes(OLD, new, 100) == []


def test_before_the_first_step_anything_may_be_edited():
    new = a_plan(seed=1, model__layers=2, stage__0__batch=1)
    assert changes(OLD, new, 0) == []


REFUSED = [
    (45, {"seed": 7}, "seed was 6 and is 7: other weights and samples for steps 1 to 45"),
    (45, {"model__layers": 2}, "[model] layers was 4 and is 2: other results for steps 1 to 45"),
    (
        45,
        {"model__document_masking": False},
        "[model] document_masking was true and is false: other results for steps 1 to 45",
    ),
    (45, {"optimizer__clip": 0.5}, "[optimizer] clip was 1.0 and is 0.5: other results for steps 1 to 45"),
    (45, {"tokenizer__vocabulary": 400}, "[tokenizer] vocabulary was 500 and is 400: other tokens for steps 1 to 45"),
    (
        45,
        {"tokenizer__file": "t.json"},
        '[tokenizer] file was not there and is "/plans/t.json": other tokens for steps 1 to 45',
    ),
    (
        45,
        {"sources__web__text": "other/*.txt"},
        '[sources.web] text was "/plans/web/*.txt" and is "/plans/other/*.txt": other documents for steps 1 to 45',
    ),
    (
        45,
        {"sources__code__held_out": 0.5},
        "[sources.code] held_out was 0.01 and is 0.5: other documents for steps 1 to 45",
    ),
    (45, {"stage__0__name": "first"}, 'stage "one": name was "one" and is "first": other samples for steps 1 to 45'),
    (45, {"stage__0__batch": 4}, 'stage "one": batch was 8 and is 4: other samples for steps 1 to 45'),
    (
        45,
        {"stage__0__sequence_length": 64},
        'stage "one": sequence_length was 32 and is 64: other samples for steps 1 to 45',
    ),
    (
        45,
        {"stage__0__mixture": {"web": 1.0}},
        'stage "one": mixture was {"web": 0.9, "code": 0.1} and is {"web": 1.0}: other samples for steps 1 to 45',
    ),
    (
        45,
        {"stage__0__rope_theta": 1e6},
        'stage "one": rope_theta was 50000.0 and is 1000000.0: other results for steps 1 to 45',
    ),
    (
        45,
        {"stage__0__fresh_optimizer": True},
        'stage "one": fresh_optimizer was false and is true: other results for steps 1 to 45',
    ),
    (45, {"stage__0__lr": 2e-3}, 'stage "one": lr was 0.001 and is 0.002: another learning rate for steps 1 to 45'),
    (
        45,
        {"stage__0__warmup_steps": 0},
        'stage "one": warmup_steps was 10 and is 0: another learning rate for steps 1 to 45',
    ),
    (
        45,
        {"stage__0__decay_steps": 20},
        'stage "one": decay_steps was 0 and is 20: another learning rate for steps 41 to 45',
    ),
    (45, {"stage__0__steps": 44}, 'stage "one": steps was 60 and is 44: another stage for steps 45 to 45'),
    (61, {"stage__0__steps": 70}, 'stage "one": steps was 60 and is 70: another stage for steps 61 to 61'),
    (
        80,
        {"stage__1__lr_end": 1e-4},
        'stage "two": lr_end was 0.0 and is 0.0001: another learning rate for steps 71 to 80',
    ),
    (
        80,
        {"stage__1__decay": "cosine"},
        'stage "two": decay was "linear" and is "cosine": another learning rate for steps 71 to 80',
    ),
    (80, {"stage__1__steps": 50}, 'stage "two": steps was 40 and is 50: another learning rate for steps 71 to 80'),
    (80, {"stage__1": None}, 'stage "two": name was "two" and is not there: other samples for steps 61 to 80'),
    (80, {"stage__0": None}, 'stage "one": name was "one" and is "two": other samples for steps 1 to 80'),
]


@pytest.mark.parametrize(("step", "edit", "line"), REFUSED, ids=str)
def test_an_edit_of_the_past_is_told_with_what_it_would_change(step, edit, line):
    new = a_plan(**edit)
    assert changes(OLD, new, step) == [line]
    assert past_hash(new, step) != past_hash(OLD, step)


def test_a_source_concerns_the_steps_from_the_first_stage_that_mixes_it():
    old = a_plan(stage__0__mixture={"web": 1.0})
    new = replace(old, sources={**old.sources, "code": replace(old.sources["code"], held_out=0.2)})
    assert changes(old, new, 60) == []
    (line,) = changes(old, new, 70)
    assert line.endswith("other documents for steps 61 to 70")


def test_a_source_that_is_taken_away_is_told():
    new = a_plan(sources__web=None, sources__wed={"text": "web/*.txt"}, stage__0__mixture={"wed": 0.9, "code": 0.1})
    assert [line.partition(" was ")[0] for line in changes(OLD, new, 5)] == [
        'stage "one": mixture',
        "[sources.web] text",
        "[sources.web] held_out",
        "[sources.wed] text",
        "[sources.wed] held_out",
    ]


def test_a_source_without_weight_is_as_none():
    new = a_plan(stage__1__mixture={"code": 1.0, "web": 0.0})
    assert changes(OLD, new, 100) == []


def test_what_bytes_do_not_need_may_be_edited():
    old, new = a_plan(tokenizer={}), a_plan(tokenizer={"end_of_document": "<e>"})
    assert changes(old, new, 45) == []


def test_a_refusal_says_all_and_what_to_do():
    with pytest.raises(UsageError) as error:
        refuse_edit(OLD, a_plan(seed=7, stage__0__lr=2e-3), 45)
    assert str(error.value).splitlines() == [
        "the plan was edited where it has been carried out already, up to step 45:",
        "  seed was 6 and is 7: other weights and samples for steps 1 to 45",
        '  stage "one": lr was 0.001 and is 0.002: another learning rate for steps 1 to 45',
        "put these back, or begin anew in another directory: --run",
    ]


def test_another_layout_is_borne_and_told():
    new = a_plan(parallel__tensor=2, parallel__world=4, parallel__recompute="full")
    assert resharded(OLD, new) == [
        "[parallel] tensor was 1 and is 2: results agree to rounding from here on, not to the bit",
        '[parallel] recompute was "none" and is "full": results agree to rounding from here on, not to the bit',
    ]
    assert resharded(OLD, OLD) == []


@st.composite
def edited(draw, plan):
    """Another plan that is near: some stages other, gone, or new."""
    names = list(plan.sources)
    kept = list(plan.stages)
    for _ in range(draw(st.integers(0, 3))):
        index = draw(st.integers(0, len(kept) - 1))
        stage = kept[index]
        kind = draw(st.sampled_from(["steps", "decay", "lr", "drop", "append", "any"]))
        if kind == "steps":
            steps = draw(st.integers(stage.warmup_steps + stage.decay_steps, 60))
            kept[index] = replace(stage, steps=max(1, steps))
        elif kind == "decay":
            longest = stage.steps - stage.warmup_steps
            kept[index] = replace(
                stage, decay_steps=draw(st.integers(0, longest)), decay=draw(st.sampled_from(Decay)), lr_end=0.0
            )
        elif kind == "lr":
            kept[index] = replace(stage, lr=stage.lr * 2)
        elif kind == "drop" and len(kept) > 1:
            del kept[index]
        elif kind == "append":
            kept.append(draw(stages(f"new-{len(kept)}", names)))
        elif kind == "any":
            kept[index] = draw(stages(stage.name, names))
    return replace(plan, stages=tuple(kept), seed=plan.seed ^ draw(st.sampled_from([0, 0, 0, 1])))


def trained(plan, step):
    """All that decides one step's samples and rate."""
    place = place_of(plan, step)
    stage = plan.stages[place.stage]
    mixture = {name: weight for name, weight in stage.mixture.items() if weight}
    return (
        plan.seed,
        stage.name,
        place.first_sample,
        place.num_samples,
        stage.sequence_length,
        stage.rope_theta,
        stage.fresh_optimizer,
        mixture,
        lr_at(plan, step),
    )


@settings(max_examples=40, deadline=None)
@given(plans().flatmap(lambda plan: st.tuples(st.just(plan), edited(plan))), st.data())
def test_an_edit_that_is_borne_leaves_every_step_that_is_done_as_it_was(pair, data):
    old, new = pair
    step = data.draw(st.integers(1, old.num_steps))
    if changes(old, new, step):
        return
    assert [trained(new, number) for number in range(1, step + 1)] == [
        trained(old, number) for number in range(1, step + 1)
    ]


@settings(max_examples=40, deadline=None)
@given(plans().flatmap(lambda plan: st.tuples(st.just(plan), edited(plan))), st.data())
def test_pasts_have_the_same_hash_exactly_where_an_edit_is_borne(pair, data):
    old, new = pair
    step = data.draw(st.integers(0, old.num_steps))
    assert (past_hash(old, step) == past_hash(new, step)) == (changes(old, new, step) == [])
