"""How long a plan takes, at a rate that is given. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from trainer.plan.flops import flops_per_token, mfu
from trainer.plan.parts import PARTS
from trainer.plan.words import Plan

ASSUMED_MFU = 0.3
"""Where a plan gives no rate but its GPU is known: what SmolLM3 reached on 384 H100s, about 30 % (Hugging Face's Smol
Training Playbook)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast one rank is, and from where that is known."""

    rank_flops: float
    """Per second, by `trainer.plan.flops`: taken as equal in all stages, so longer sequences go slower in tokens."""
    origin: str
    mfu: float | None
    """None where no peak is known."""


def peak_flops(plan: Plan) -> float | None:
    """Of one rank, per second: what the plan says, or its part's data sheet; None where neither does."""
    part = PARTS.get(plan.parallel.part)
    return plan.metrics.peak_flops or (part.peak_flops[plan.optimizer.dtype] if part else None)


def pace_of(plan: Plan) -> Pace | None:
    """None where the plan gives neither a rate nor a GPU."""
    peak, rate = peak_flops(plan), plan.parallel.rank_tokens_per_second
    if rate:
        first = plan.stages[0]
        flops = flops_per_token(plan.model, first.sequence_length)
        return Pace(
            rank_flops=rate * flops,
            origin=f"{rate:,.0f} tokens/s a rank at {first.sequence_length:,} (parallel.rank_tokens_per_second)",
            mfu=mfu(rate, flops, peak) if peak else None,
        )
    if peak is None:
        return None
    return Pace(rank_flops=ASSUMED_MFU * peak, origin=f"assumed, {ASSUMED_MFU:.0%} of the peak", mfu=ASSUMED_MFU)


def stage_seconds(plan: Plan, pace: Pace) -> Mapping[str, float]:
    """Of each stage, on the plan's world; start-up, evaluation, checkpoints and failures not counted."""
    return {
        stage.name: stage.num_tokens
        * flops_per_token(plan.model, stage.sequence_length)
        / (pace.rank_flops * plan.parallel.world)
        for stage in plan.stages
    }
