"""What a plan is, as a hash, and which edits a run that has begun can bear. Pure."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from trainer.plan.json_form import to_json
from trainer.plan.past import DECAY_KEYS, DONE, WARMUP_KEYS, Key, has_begun_to_decay, past, steps_done
from trainer.plan.words import Plan
from watchdog.vocabulary.errors import UsageError

_LAYOUT_KEYS = ("tensor", "pipeline", "context", "sequence", "micro_batch", "recompute")
_SAMPLE_KEYS = ("name", "sequence_length", "batch", "mixture")


def plan_hash(plan: Plan) -> str:
    """Of the whole resolved plan."""
    return _hash(to_json(plan))


def past_hash(plan: Plan, step: int) -> str:
    """Of all that decides the data order and results of steps 1 to `step`: equal where `changes` finds nothing."""
    return _hash({"\0".join(key): value for key, value in past(plan, step).items()})


def _hash(document: Any) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def refuse_edit(old: Plan, new: Plan, step: int) -> None:
    """Raise `UsageError` where `new` would change the past of a run that has done `step` steps by `old`."""
    if found := changes(old, new, step):
        lines = "".join(f"\n  {line}" for line in found)
        raise UsageError(
            f"the plan was edited where it has been carried out already, up to step {step}:{lines}\n"
            f"put these back, or begin anew in another directory: --run"
        )


def changes(old: Plan, new: Plan, step: int) -> list[str]:
    """What of the steps up to `step`, which were trained by `old`, would be otherwise by `new`: a sentence each."""
    before, after = past(old, step), past(new, step)
    differing = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    if first := _misplaced(differing):
        # from there on, stages of the same number are other stages: to compare them says nothing
        differing = [key for key in differing if key[0] != "stage" or int(key[1]) < first[0] or key == first[1]]
    sentences = (_sentence(old, new, key, step) for key in differing)
    return list(dict.fromkeys(sentence for sentence in sentences if sentence))


def _misplaced(keys: Iterable[Key]) -> tuple[int, Key] | None:
    """The first stage that isn't the same one, or has other steps among those done."""
    found = [(int(key[1]), key) for key in keys if key[0] == "stage" and key[2] in ("name", DONE)]
    return min(found, key=lambda each: (each[0], each[1][2] != "name"), default=None)


def _sentence(old: Plan, new: Plan, key: Key, step: int) -> str:
    key = (*key[:-1], "steps") if (is_moved := key[-1] == DONE) else key
    was, now = _value(old, key), _value(new, key)
    effect = f"another stage for {_steps(old, new, key, step)}" if is_moved else _effect(old, new, key, step)
    return f"{_shown(old, key)} was {was} and is {now}: {effect}" if was != now else ""


def _value(plan: Plan, key: Key) -> str:
    found: Any = to_json(plan)
    for part in key:
        if part == "stage":
            found = found["stages"]
        elif isinstance(found, list):
            found = found[int(part)] if int(part) < len(found) else {}
        else:
            found = found.get(part, {})
    return "not there" if found == {} or found is None else json.dumps(found)


def _shown(old: Plan, key: Key) -> str:
    match key:
        case ("stage", index, name):
            return f'stage "{old.stages[int(index)].name}": {name}' if int(index) < len(old.stages) else "stage"
        case ("sources", source, name):
            return f"[sources.{source}] {name}"
        case (section, name):
            return f"[{section}] {name}"
    return key[0]


def _effect(old: Plan, new: Plan, key: Key, step: int) -> str:
    steps = _steps(old, new, key, step)
    if key[0] == "stage":
        if key[2] in (*DECAY_KEYS, *WARMUP_KEYS):
            return f"another learning rate for {steps}"
        return f"other samples for {steps}" if key[2] in _SAMPLE_KEYS else f"other results for {steps}"
    return {
        "seed": f"other weights and samples for {steps}",
        "sources": f"other documents for {steps}",
        "tokenizer": f"other tokens for {steps}",
    }.get(key[0], f"other results for {steps}")


def _steps(old: Plan, new: Plan, key: Key, step: int) -> str:
    """Those that are concerned, as far as they are done."""
    first = 1
    if key[0] == "stage":
        index = int(key[1])
        first += sum(stage.steps for stage in old.stages[:index])
        if key[2] in DECAY_KEYS and index < len(new.stages):
            first += min(_constant(old, index, step), _constant(new, index, step))
    elif key[0] == "sources":
        for stage in old.stages:
            if stage.mixture.get(key[1], 0) > 0:
                break
            first += stage.steps
    return f"steps {min(first, step)} to {step}"


def _constant(plan: Plan, index: int, step: int) -> int:
    """Steps of a stage before its learning rate falls, or before those done end."""
    stage, done = plan.stages[index], steps_done(plan, step)
    before = done[index] if index < len(done) else 0
    return stage.steps - stage.decay_steps if has_begun_to_decay(stage, before) else min(before, stage.steps)


def resharded(old: Plan, new: Plan) -> list[str]:
    """Edits of the layout: a run bears them, but from then on agrees with the old layout to rounding only, not to the
    bit. A sentence each."""
    return [
        f"[parallel] {key} was {was} and is {now}: results agree to rounding from here on, not to the bit"
        for key in _LAYOUT_KEYS
        if (was := _value(old, ("parallel", key))) != (now := _value(new, ("parallel", key)))
    ]
