"""One step: its samples, gradients, the decision, and the update or none. The veto point is here and nowhere else."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import isfinite

from trainer.data.batches import MicroBatch
from trainer.device.device import Device
from trainer.model.apply import apply_update, discard, gradients_ready
from trainer.model.built import Built, PassResult
from trainer.model.passes import forward_backward
from trainer.plan import Plan, Stage

Section = Callable[[str], AbstractContextManager[None]]
"""Times a named phase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a step gave; equal on all ranks."""

    passed: PassResult
    grad_norm: float
    update_norm: float
    veto: str = ""
    """Why the update was not made; empty: it was."""


def take_step(
    built: Built,
    batches: Iterator[MicroBatch],
    *,
    plan: Plan,
    stage: Stage,
    num_micro_batches: int,
    lr: float,
    device: Device,
    section: Section,
) -> StepResult:
    """Train on one batch. After a veto weights, moments and step count are as before, to the bit."""
    with section("forward_backward"):
        passed = forward_backward(
            built,
            batches,
            num_micro_batches=num_micro_batches,
            micro_batch=plan.parallel.micro_batch,
            sequence_length=stage.sequence_length,
            device=device,
            z_loss=plan.optimizer.z_loss,
        )
    with section("optimizer"):
        grad_norm = gradients_ready(built)
        # loss and norm were reduced over all ranks: each comes to the same word
        if veto := judge(passed, grad_norm):
            discard(built)
            return StepResult(passed=passed, grad_norm=grad_norm, update_norm=0.0, veto=veto)
        update_norm = apply_update(built, lr=lr, grad_norm=grad_norm, clip=plan.optimizer.clip)
    return StepResult(passed=passed, grad_norm=grad_norm, update_norm=update_norm)


def judge(passed: PassResult, grad_norm: float) -> str:
    """Why no update may be made from these gradients; empty where it may."""
    if not isfinite(passed.loss):
        return f"the loss is {passed.loss}"
    if not isfinite(grad_norm):
        return f"the gradient norm is {grad_norm}"
    return ""
