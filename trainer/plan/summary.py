"""All that can be told of a plan before anything runs: figures, and the JSON document made of them. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from trainer.plan.duration import Pace, pace_of, peak_flops, stage_seconds
from trainer.plan.flops import FORMULA, flops_per_token
from trainer.plan.identity import plan_hash
from trainer.plan.json_form import to_json
from trainer.plan.memory import Memory, durable_bytes, micro_batches, rank_memory, rank_state_bytes
from trainer.plan.parameters import num_parameters, rank_parameters
from trainer.plan.parts import PARTS
from trainer.plan.words import Plan, Source, Stage

SCHEMA = "fryer/plan"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTokens:
    """What a stage takes of one source."""

    source: str
    tokens: int
    epochs: float | None
    """How often its training documents are gone through; None where the plan doesn't know its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSummary:
    """One stage in figures."""

    name: str
    first_step: int
    last_step: int
    tokens: int
    step_tokens: int
    micro_batches: int
    """Of a step, on each data parallel rank."""
    sources: tuple[SourceTokens, ...]
    lr_phases: tuple[str, ...]
    flops_per_token: float
    memory: Memory
    seconds: float | None
    """At the plan's pace; None without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A whole plan in figures."""

    plan: Plan
    parameters: int
    rank_parameters: tuple[int, ...]
    """By pipeline stage."""
    data_parallel: int
    stages: tuple[StageSummary, ...]
    sources: tuple[SourceTokens, ...]
    """Of all stages together."""
    durable_bytes: int
    rank_state_bytes: int
    pace: Pace | None
    peak_flops: float | None
    part_bytes: int | None
    """Memory of the plan's part."""

    @property
    def tokens(self) -> int:
        """Of all stages."""
        return sum(stage.tokens for stage in self.stages)

    @property
    def seconds(self) -> float | None:
        """Of all stages."""
        return sum(stage.seconds or 0.0 for stage in self.stages) if self.pace else None


def summarize(plan: Plan) -> Summary:
    """Figures of the plan for the world that it is made for."""
    parallel, pace = plan.parallel, pace_of(plan)
    seconds = stage_seconds(plan, pace) if pace else {}
    stages: list[StageSummary] = []
    for stage in plan.stages:
        stages.append(_stage(plan, stage, stages[-1].last_step if stages else 0, seconds.get(stage.name)))
    part = PARTS.get(parallel.part)
    return Summary(
        plan=plan,
        parameters=num_parameters(plan.model),
        rank_parameters=tuple(rank_parameters(plan.model, parallel, each) for each in range(parallel.pipeline)),
        data_parallel=parallel.world // (parallel.tensor * parallel.pipeline * parallel.context),
        stages=tuple(stages),
        sources=tuple(_of_all(source, stages) for source in plan.sources.values()),
        durable_bytes=durable_bytes(plan),
        rank_state_bytes=rank_state_bytes(plan),
        pace=pace,
        peak_flops=peak_flops(plan),
        part_bytes=part.memory_bytes if part else None,
    )


def _stage(plan: Plan, stage: Stage, before: int, seconds: float | None) -> StageSummary:
    return StageSummary(
        name=stage.name,
        first_step=before + 1,
        last_step=before + stage.steps,
        tokens=stage.num_tokens,
        step_tokens=stage.batch * stage.sequence_length,
        micro_batches=micro_batches(plan, stage),
        sources=tuple(_of_source(plan.sources[name], stage) for name, weight in stage.mixture.items() if weight > 0),
        lr_phases=lr_phases(stage, before),
        flops_per_token=flops_per_token(plan.model, stage.sequence_length),
        memory=rank_memory(plan, stage),
        seconds=seconds,
    )


def _of_source(source: Source, stage: Stage) -> SourceTokens:
    tokens = round(stage.num_tokens * Decimal(str(stage.mixture[source.name])))
    return SourceTokens(source=source.name, tokens=tokens, epochs=_epochs(source, tokens))


def _of_all(source: Source, stages: list[StageSummary]) -> SourceTokens:
    tokens = sum(each.tokens for stage in stages for each in stage.sources if each.source == source.name)
    return SourceTokens(source=source.name, tokens=tokens, epochs=_epochs(source, tokens))


def _epochs(source: Source, tokens: int) -> float | None:
    return tokens / (source.tokens * (1 - source.held_out)) if source.tokens else None


def lr_phases(stage: Stage, before: int) -> tuple[str, ...]:
    """The learning rate over a stage that has `before` steps in front of it: a sentence a phase."""
    constant, decay = stage.steps - stage.warmup_steps - stage.decay_steps, before + stage.steps - stage.decay_steps
    found = []
    if stage.warmup_steps:
        end = before + stage.warmup_steps
        found.append(f"steps {before + 1:,}-{end:,}: linear from {stage.lr_start:g} to {stage.lr:g}")
    if constant:
        found.append(f"steps {before + stage.warmup_steps + 1:,}-{decay:,}: {stage.lr:g}")
    if stage.decay_steps:
        end = before + stage.steps
        found.append(f"steps {decay + 1:,}-{end:,}: {stage.decay} from {stage.lr:g} to {stage.lr_end:g}")
    return tuple(found)


def summary_to_json(summary: Summary) -> dict[str, Any]:
    """The document of ``fryer train PLAN --plan-only --json``."""
    plan, pace = summary.plan, summary.pace
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "hash": plan_hash(plan),
        "plan": to_json(plan),
        "parameters": summary.parameters,
        "rank_parameters": list(summary.rank_parameters),
        "data_parallel": summary.data_parallel,
        "steps": plan.num_steps,
        "tokens": summary.tokens,
        "stages": [_stage_to_json(stage) for stage in summary.stages],
        "sources": [asdict(each) for each in summary.sources],
        "flops_formula": FORMULA,
        "part": {"name": plan.parallel.part, "memory_bytes": summary.part_bytes} if summary.part_bytes else None,
        "peak_flops": summary.peak_flops,
        "pace": asdict(pace) if pace else None,
        "seconds": summary.seconds,
        "checkpoint_bytes": {"durable": summary.durable_bytes, "rank_state": summary.rank_state_bytes},
    }


def _stage_to_json(stage: StageSummary) -> Mapping[str, Any]:
    return {**asdict(stage), "memory": {**asdict(stage.memory), "total": stage.memory.total}}
