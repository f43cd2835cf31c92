"""What must hold between the values of a plan. Pure; complains, never raises.

A rule is judged where all keys that it needs are right by themselves: so one wrong key hides no other.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from trainer.plan.ranges import BYTE_VOCABULARY
from watchdog.vocabulary.complaints import Complaints
from watchdog.vocabulary.errors import nearest

VOCABULARY_MULTIPLE = 128
"""Rows of the embedding on each tensor parallel rank: Megatron pads to it, and tensor cores want it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that holds between some keys; the first one is blamed. ``stage.`` stands for each stage in turn."""

    keys: tuple[str, ...]
    broken: Callable[..., str]
    """Of the keys' values: what would be allowed, or an empty text where it holds."""


def _if(is_broken: object, allowed: str) -> str:
    return allowed if is_broken else ""


def _multiple_of_rows(vocabulary: int, tensor: int) -> str:
    rows = VOCABULARY_MULTIPLE * tensor
    fits = -(-vocabulary // rows) * rows
    return _if(vocabulary != fits, f"a multiple of {VOCABULARY_MULTIPLE} x parallel.tensor, such as {fits}")


def _room_for_tokens(vocabulary: int, kind: str, tokens: int) -> str:
    least = BYTE_VOCABULARY if kind == "bytes" else tokens
    return _if(vocabulary < least, f"at least the tokenizer's {least}")


def _whole_copies(world: int, *sizes: int) -> str:
    copy = math.prod(sizes)
    return _if(world % copy, f"a multiple of tensor x pipeline x context: {copy}")


def _even_split(tensor: int, heads: int, kv_heads: int, mlp_hidden: int) -> str:
    allowed = f"a divisor of heads, {heads}, of kv_heads, {kv_heads}, and of mlp_hidden, {mlp_hidden}"
    return _if(heads % tensor or kv_heads % tensor or mlp_hidden % tensor, allowed)


def _on_grid(keep: int, every: int) -> str:
    allowed = f"0, or a multiple of every_steps, {every}: other steps have no checkpoint to keep"
    return _if(keep and (not every or keep % every), allowed)


def _whole_rounds(batch: int, micro_batch: int, world: int, *sizes: int) -> str:
    copy = math.prod(sizes)
    if world % copy or not batch % (world // copy * micro_batch):
        return ""
    return f"a multiple of data parallel size x micro_batch: {world // copy} x {micro_batch}"


def _phases(decay: int, warmup: int, steps: int) -> str:
    allowed = f"with warmup_steps, {warmup}, at most the stage's {steps} steps"
    return _if(warmup + decay > steps, allowed)


def _even_chunks(length: int, context: int) -> str:
    return _if(context > 1 and length % (2 * context), f"a multiple of 2 x context: {2 * context}")


def _even_shares(length: int, is_sequence: bool, tensor: int, context: int) -> str:
    shares = tensor * context
    return _if(is_sequence and length % shares, f"a multiple of tensor x context with sequence = true: {shares}")


_COPY = ("parallel.tensor", "parallel.pipeline", "parallel.context")
RULES = (
    Rule(
        ("model.hidden", "model.heads"),
        lambda hidden, heads: _if(hidden % (2 * heads), f"a multiple of 2 x {heads} heads: rotary pairs fill a head"),
    ),
    Rule(("model.kv_heads", "model.heads"), lambda kv, heads: _if(heads % kv, f"a divisor of heads, {heads}")),
    Rule(("model.vocabulary", "parallel.tensor"), _multiple_of_rows),
    Rule(("model.vocabulary", "tokenizer.kind", "tokenizer.vocabulary"), _room_for_tokens),
    Rule(("parallel.tensor", "model.heads", "model.kv_heads", "model.mlp_hidden"), _even_split),
    Rule(("parallel.pipeline", "model.layers"), lambda size, n: _if(n % size, f"a divisor of layers, {n}")),
    Rule(
        ("parallel.sequence", "parallel.tensor"),
        lambda is_on, tensor: _if(is_on and tensor == 1, "true only with tensor above 1"),
    ),
    Rule(("parallel.world", *_COPY), _whole_copies),
    Rule(
        ("tokenizer.file", "tokenizer.kind"),
        lambda file, kind: _if(file is not None and kind != "bpe", 'a file only with kind = "bpe"'),
    ),
    Rule(("checkpoints.keep_every_steps", "checkpoints.every_steps"), _on_grid),
    Rule(
        ("checkpoints.local_directory", "checkpoints.local_every_steps"),
        lambda directory, every: _if(
            every and directory is None, "a directory, best in /dev/shm, or no local_every_steps"
        ),
    ),
    Rule(("stage.decay_steps", "stage.warmup_steps", "stage.steps"), _phases),
    Rule(("stage.lr_start", "stage.lr"), lambda start, lr: _if(start > lr, f"at most lr, {lr:g}")),
    Rule(("stage.lr_end", "stage.lr"), lambda end, lr: _if(end > lr, f"at most lr, {lr:g}")),
    Rule(("stage.batch", "parallel.micro_batch", "parallel.world", *_COPY), _whole_rounds),
    Rule(("stage.sequence_length", "parallel.context"), _even_chunks),
    Rule(("stage.sequence_length", "parallel.sequence", "parallel.tensor", "parallel.context"), _even_shares),
)


def check_rules(good: Mapping[str, Any], num_stages: int, complaints: Complaints) -> None:
    """Complain of each rule that is broken. `good`: values by dotted key, those of stages as ``stage[1].batch``."""
    for rule in RULES:
        if not rule.keys[0].startswith("stage."):
            _judge(rule, rule.keys, good, complaints)
            continue
        for number in range(1, num_stages + 1):
            own = tuple(key.replace("stage.", f"stage[{number}].", 1) for key in rule.keys)
            _judge(rule, own, good, complaints)


def _judge(rule: Rule, keys: Sequence[str], good: Mapping[str, Any], complaints: Complaints) -> None:
    if all(key in good for key in keys) and (allowed := rule.broken(*(good[key] for key in keys))):
        value = good[keys[0]]
        complaints.add(keys[0], value if isinstance(value, int | float | None) else str(value), allowed)


def check_names(names: Sequence[str], complaints: Complaints) -> None:
    """Complain of stages that have the same name."""
    for name, count in Counter(names).items():
        if count > 1:
            complaints.found.append(f"stage.name is {name!r} {count} times; allowed: once, as stages go by their names")


def check_mixture(where: str, weights: Mapping[str, float], sources: Sequence[str], complaints: Complaints) -> None:
    """Complain of a mixture of unknown sources, or whose weights don't sum to 1 as decimal numbers."""
    for name in weights:
        if name not in sources:
            complaints.found.append(f"{where}.{name} is no source of this plan{nearest(name, sources)}")
    total = sum((Decimal(str(weight)) for weight in weights.values()), Decimal(0))
    if total != 1:
        complaints.found.append(f"{where} sums to {total}; allowed: weights that sum to 1 exactly")
