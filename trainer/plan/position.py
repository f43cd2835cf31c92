"""Where a step lies in a plan, and with which learning rate it is taken. Pure functions of the plan and its number.

Steps are numbered from 1; a state "at step N" has N steps behind it, the skipped ones included.
"""

from dataclasses import dataclass
from math import cos, pi, sqrt

from trainer.plan.words import Decay, Plan, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One step in its stage."""

    stage: int
    """Index into the plan's stages."""
    step_in_stage: int
    """From 0."""
    first_sample: int
    """Of the step, among the samples of its stage."""
    num_samples: int


def place_of(plan: Plan, step: int) -> Place:
    """Where step number `step` (from 1) lies. Raises ValueError outside the plan."""
    before = step - 1
    for index, stage in enumerate(plan.stages):
        if 0 <= before < stage.steps:
            return Place(stage=index, step_in_stage=before, first_sample=before * stage.batch, num_samples=stage.batch)
        before -= stage.steps
    raise ValueError(f"step {step} is outside the plan's {plan.num_steps} steps")


def last_step_of(plan: Plan, stage: int) -> int:
    """Number of the stage's last step."""
    return sum(each.steps for each in plan.stages[: stage + 1])


def lr_at(plan: Plan, step: int) -> float:
    """Learning rate that step number `step` is taken with."""
    place = place_of(plan, step)
    return _lr(plan.stages[place.stage], place.step_in_stage)


def _lr(stage: Stage, done: int) -> float:
    # taken off the peak, so that no rounding lifts it above
    if done < stage.warmup_steps:
        return stage.lr - (stage.lr - stage.lr_start) * (1 - (done + 1) / stage.warmup_steps)
    left = stage.steps - done
    if left > stage.decay_steps:
        return stage.lr
    share = (stage.decay_steps - left + 1) / stage.decay_steps
    return stage.lr - (stage.lr - stage.lr_end) * _lost(stage.decay, share)


def _lost(decay: Decay, share: float) -> float:
    """Which part of the height is gone after `share` of the decay."""
    match decay:
        case Decay.LINEAR:
            return share
        case Decay.COSINE:
            return (1 - cos(pi * share)) / 2
        case Decay.MINUS_SQRT:
            return sqrt(share)
