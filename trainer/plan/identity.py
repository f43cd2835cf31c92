"""What a plan is, as a number, and which edits a run that has begun can bear. Pure."""

import hashlib
import json
from typing import Any

from trainer.plan.json_form import to_json
from trainer.plan.position import place_of
from trainer.plan.words import Plan
from watchdog.vocabulary.errors import UsageError

_FREE = ("checkpoints", "evaluation", "metrics", "parallel", "name")
"""Sections that change nothing of the past: where states are kept, what is shown, how ranks share the work."""


def plan_hash(plan: Plan) -> str:
    """Of the whole resolved plan."""
    return _hash(to_json(plan))


def past_hash(plan: Plan) -> str:
    """Of what decides results and data order: equal for plans that differ only in what changes nothing of them."""
    document = to_json(plan)
    return _hash({key: value for key, value in document.items() if key not in _FREE})


def _hash(document: Any) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def changes(old: Plan, new: Plan, step: int) -> list[str]:
    """What of the steps up to `step`, which were trained by `old`, would be otherwise by `new`: a sentence each."""
    if step < 1:
        return []
    found = [
        f"{key} was {getattr(old, key)!r} and is {getattr(new, key)!r}: steps 1 to {step} would have other results"
        for key in ("seed",)
        if getattr(old, key) != getattr(new, key)
    ]
    for section in ("model", "optimizer", "tokenizer"):
        found += _section(section, to_json(old)[section], to_json(new)[section], step)
    return found + _stages(old, new, step)


def _section(name: str, old: dict[str, Any], new: dict[str, Any], step: int) -> list[str]:
    return [
        f"{name}.{key} was {old[key]!r} and is {new[key]!r}: steps 1 to {step} would have other results"
        for key in old
        if old[key] != new.get(key)
    ]


def _stages(old: Plan, new: Plan, step: int) -> list[str]:
    found: list[str] = []
    last = place_of(old, min(step, old.num_steps))
    for index in range(last.stage + 1):
        was = old.stages[index]
        if index >= len(new.stages) or new.stages[index].name != was.name:
            found.append(f"stage {was.name!r} is gone or has another name: its steps have been trained")
            continue
        done = last.step_in_stage + 1 if index == last.stage else was.steps
        found += _stage(old, new, index, done, is_current=index == last.stage)
        found += _sources(old, new, index)
    return found


def _stage(old: Plan, new: Plan, index: int, done: int, *, is_current: bool) -> list[str]:
    was, now = to_json(old)["stages"][index], to_json(new)["stages"][index]
    # a longer stage keeps its past, as long as its decay has not begun
    bears = is_current and now["steps"] - now["decay_steps"] >= done and was["steps"] - was["decay_steps"] >= done
    free = {"steps", "decay_steps", "decay", "lr_end"} if bears else set()
    return [
        f"stage {was['name']!r}: {key} was {was[key]!r} and is {now[key]!r}: its first {done} steps had the old one"
        for key in was
        if was[key] != now[key] and key not in free
    ]


def _sources(old: Plan, new: Plan, index: int) -> list[str]:
    found = []
    for name in old.stages[index].mixture:
        was = old.sources[name]
        now = new.sources.get(name)
        if now is None or (was.dataset, was.text, was.held_out) != (now.dataset, now.text, now.held_out):
            found.append(
                f"sources.{name} names other documents: stage {old.stages[index].name!r} was trained on the old"
            )
    return found


def refuse_edit(old: Plan, new: Plan, step: int) -> None:
    """Raise `UsageError` where `new` would change the past of a run that has done `step` steps by `old`."""
    if found := changes(old, new, step):
        lines = "".join(f"\n  {line}" for line in found)
        raise UsageError(
            f"this plan differs from the one that the run was trained with in what has been done already:{lines}\n"
            f"put these back, or give another --run directory to begin anew"
        )
