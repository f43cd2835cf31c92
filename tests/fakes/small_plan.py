"""A plan that trains nothing much, to be changed by tests."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trainer.plan import ModelPlan, OptimizerPlan, ParallelPlan, Plan, Source, Stage, Tokenizer


def stage(name: str = "one", **changes: Any) -> Stage:
    """One of 100 steps of 8 sequences of 32 tokens of the source ``code``."""
    basic = Stage(name=name, steps=100, sequence_length=32, batch=8, mixture={"code": 1.0}, lr=1e-3)
    return replace(basic, **changes)


def plan(*stages: Stage, sources: Mapping[str, str] | None = None, **changes: Any) -> Plan:
    """Of `stages`; `sources` are globs by name."""
    basic = Plan(
        name="small",
        seed=7,
        model=ModelPlan(layers=2, hidden=64, heads=4, kv_heads=2, mlp_hidden=128, vocabulary=384),
        optimizer=OptimizerPlan(),
        parallel=ParallelPlan(),
        tokenizer=Tokenizer(),
        sources={name: Source(name=name, text=text) for name, text in (sources or {"code": "*.txt"}).items()},
        stages=stages or (stage(),),
    )
    return replace(basic, **changes)
