"""What ranks really hold, beside what a plan's formulas say. Lives in the processes of `trainer_ranks`."""

from dataclasses import replace
from typing import Any

from model_lab import Meeting, plan_of

LAYOUTS: dict[str, dict[str, Any]] = {
    "dp2": {},
    "tp2": {"tensor": 2},
    "pp2": {"pipeline": 2},
    "pp2 untied": {"pipeline": 2, "model": {"tied_embeddings": False}},
    "dp2 bf16": {"optimizer": {"dtype": "bf16"}},
    "tp2 whole": {"tensor": 2, "optimizer": {"distributed": False}},
}


def held(place: dict[str, Any]) -> dict[str, Any]:
    """By layout, each as it is and as the plan says: parameters of this rank, and bytes of its own state."""
    meeting, found = Meeting(place, "cpu"), {}
    from megatron.core import parallel_state

    from trainer.model.state import force_param_sync, local_tensors
    from trainer.plan.memory import rank_state_bytes
    from trainer.plan.parameters import rank_parameters

    for name, changes in LAYOUTS.items():
        plan = plan_of(**changes)
        plan = replace(plan, parallel=replace(plan.parallel, world=place["world"]))
        with meeting.lab(plan) as lab:
            lab.steps(1)
            force_param_sync(lab.built)
            number = parallel_state.get_pipeline_model_parallel_rank()
            found[name] = {
                "parameters": sum(each.numel() for each in lab.model.parameters()),
                "told": rank_parameters(plan.model, plan.parallel, number),
                "bytes": sum(each.numel() * each.element_size() for each in local_tensors(lab.built).values()),
                "told_bytes": rank_state_bytes(plan),
            }
    return found
