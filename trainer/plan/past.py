"""What a plan says of steps that are done: two plans with the same past trained them alike, to the bit. Pure.

Left out is what changes nothing of them: where states are kept, what is evaluated and shown, how ranks share the work,
later stages, sources that weren't read yet, the rest of a stage whose learning rate has not begun to fall.
"""

from collections.abc import Mapping
from typing import Any

from trainer.plan.json_form import to_json
from trainer.plan.position import place_of
from trainer.plan.words import Plan, Stage

Key = tuple[str, ...]
"""``("model", "layers")``, ``("sources", "web", "text")``, ``("stage", "0", "lr")``."""

DECAY_KEYS = ("decay_steps", "decay", "lr_end", "steps")
WARMUP_KEYS = ("lr", "warmup_steps", "lr_start")
STAGE_KEYS = ("name", "sequence_length", "batch", "rope_theta", "fresh_optimizer")
SOURCE_KEYS = ("dataset", "text", "held_out")
DONE = "done"
"""Steps of a stage that are done."""


def past(plan: Plan, step: int) -> dict[Key, Any]:
    """All that decided the data order and results of steps 1 to `step`; nothing where there are none."""
    document = to_json(plan)
    found: dict[Key, Any] = {}
    for index, done in enumerate(steps_done(plan, step)):
        found |= {("stage", str(index), key): value for key, value in _of_stage(plan.stages[index], done).items()}
        found |= {
            ("sources", name, key): document["sources"][name][key]
            for name, weight in plan.stages[index].mixture.items()
            if weight > 0
            for key in SOURCE_KEYS
        }
    if not found:
        return {}
    found |= {(section, key): value for section in ("model", "optimizer") for key, value in document[section].items()}
    found |= {("tokenizer", key): document["tokenizer"][key] for key in _tokenizer_keys(plan)}
    return {("seed",): plan.seed, **found}


def steps_done(plan: Plan, step: int) -> list[int]:
    """Of each stage that has any of the steps 1 to `step`."""
    if step < 1:
        return []
    last = place_of(plan, min(step, plan.num_steps))
    return [*(stage.steps for stage in plan.stages[: last.stage]), last.step_in_stage + 1]


def _tokenizer_keys(plan: Plan) -> tuple[str, ...]:
    if plan.tokenizer.kind == "bytes":
        return ("kind",)
    return ("kind", "file", "end_of_document") + (("vocabulary",) if plan.tokenizer.file is None else ())


def _of_stage(stage: Stage, done: int) -> Mapping[str, Any]:
    keys = [*STAGE_KEYS, "lr"]
    if stage.warmup_steps:
        keys += ["warmup_steps", "lr_start"]
    if has_begun_to_decay(stage, done):
        keys += DECAY_KEYS
    found = {key: getattr(stage, key) for key in keys}
    mixture = {name: weight for name, weight in sorted(stage.mixture.items()) if weight > 0}
    return {**found, DONE: done, "mixture": mixture}


def has_begun_to_decay(stage: Stage, done: int) -> bool:
    """Whether one of the first `done` steps was taken with less than the stage's peak because of its end."""
    return stage.decay_steps > 0 and done > stage.steps - stage.decay_steps
