"""A resolved plan as JSON, with no default left out: what travels to ranks and lies beside a run."""

from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any

from trainer.plan.words import (
    CheckpointPlan,
    Decay,
    EvaluationPlan,
    MetricsPlan,
    ModelPlan,
    OptimizerPlan,
    ParallelPlan,
    Plan,
    Source,
    Stage,
    Tokenizer,
)

FORMAT_KEY = "fryer_plan"
FORMAT = 1


def to_json(plan: Plan) -> dict[str, Any]:
    """Mappings, lists, texts, numbers."""
    found: dict[str, Any] = _plain(asdict(plan))
    return {FORMAT_KEY: FORMAT, **found}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path | StrEnum) else value


def plan_from_json(document: Mapping[str, Any]) -> Plan:
    """What `to_json` made. Raises KeyError, TypeError or ValueError for anything else."""
    if document[FORMAT_KEY] != FORMAT:
        raise ValueError(f"its {FORMAT_KEY} is {document[FORMAT_KEY]!r}, and this version of Fryer reads {FORMAT}")
    return Plan(
        name=document["name"],
        seed=document["seed"],
        model=ModelPlan(**document["model"]),
        optimizer=OptimizerPlan(**document["optimizer"]),
        parallel=ParallelPlan(**document["parallel"]),
        tokenizer=Tokenizer(**_with_paths(document["tokenizer"], "file")),
        sources={name: Source(**_with_paths(each, "dataset")) for name, each in document["sources"].items()},
        stages=tuple(Stage(**{**each, "decay": Decay(each["decay"])}) for each in document["stages"]),
        checkpoints=CheckpointPlan(**_with_paths(document["checkpoints"], "directory", "local_directory")),
        evaluation=EvaluationPlan(**document["evaluation"]),
        metrics=MetricsPlan(**document["metrics"]),
    )


def _with_paths(table: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {**table, **{name: Path(table[name]) for name in names if table[name] is not None}}
