"""What is trained: read from plan.toml, checked whole, and frozen. Pure; loads no torch.

A step's number says everything about it: its stage, its samples, its learning rate. So a run's position is one integer,
and nothing that happens later can change what a step was.
"""

from trainer.plan.read import load_plan
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

__all__ = [
    "CheckpointPlan",
    "Decay",
    "EvaluationPlan",
    "MetricsPlan",
    "ModelPlan",
    "OptimizerPlan",
    "ParallelPlan",
    "Plan",
    "Source",
    "Stage",
    "Tokenizer",
    "load_plan",
]
