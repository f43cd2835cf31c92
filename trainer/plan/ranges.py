"""Which values each key of a plan may hold, whatever the other keys say. A table; pure."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter
from types import MappingProxyType
from typing import Any

from trainer.plan.parts import PARTS

RECOMPUTES = ("none", "selective", "full")
DTYPES = ("bf16", "fp32")
TOKENIZERS = ("bytes", "bpe")
LARGEST_SEED = 2**31 - 1
"""Ranks add their place to it, and numpy's generator takes 32 bits."""
BYTE_VOCABULARY = 257
"""Bytes, and the end of a document."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PLACEHOLDERS = {"checkpoint", "step"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What one key allows."""

    text: str
    """As an error and the docs say it."""
    holds: Callable[[Any], bool]
    words: tuple[str, ...] = ()
    """Where only some words are allowed: all of them."""


def at_least(least: float) -> Range:
    """From `least` on."""
    return Range(text=f"at least {least:g}", holds=lambda value: bool(value >= least))


def above(bound: float) -> Range:
    """Larger than `bound`."""
    return Range(text=f"above {bound:g}", holds=lambda value: bool(value > bound))


def share() -> Range:
    """A part of a whole that leaves something over."""
    return Range(text="at least 0 and below 1", holds=lambda value: 0 <= value < 1)


def one_of(*words: str) -> Range:
    """One of some words."""
    return Range(text=" or ".join(f'"{word}"' for word in words), holds=lambda value: value in words, words=words)


def _is_command(text: str) -> bool:
    try:
        shlex.split(text)
        return {name for _, name, _, _ in Formatter().parse(text) if name is not None} <= _PLACEHOLDERS
    except ValueError:
        return False


NAME = Range(
    text="letters, digits, dot, dash and underscore, 64 at most: files are named after it",
    holds=lambda text: _NAME.fullmatch(text) is not None,
)
_COMMAND = Range(
    text="words as a shell would split them, with {checkpoint} and {step} at most in braces", holds=_is_command
)
_SIZE, _COUNT, _RATE = at_least(1), at_least(0), at_least(0)

TOP: Mapping[str, Range] = MappingProxyType(
    {
        "name": NAME,
        "seed": Range(text=f"0 to {LARGEST_SEED}", holds=lambda value: 0 <= value <= LARGEST_SEED),
    }
)
RANGES: Mapping[str, Mapping[str, Range]] = MappingProxyType(
    {
        "model": {
            **dict.fromkeys(("layers", "hidden", "heads", "kv_heads", "mlp_hidden", "vocabulary"), _SIZE),
            "norm_epsilon": above(0),
            "init_std": above(0),
            "nope_every": _COUNT,
            "dropout": share(),
        },
        "parallel": {
            **dict.fromkeys(("tensor", "pipeline", "context", "micro_batch", "world"), _SIZE),
            "recompute": one_of(*RECOMPUTES),
            "part": one_of("", *PARTS),
            "rank_tokens_per_second": _RATE,
        },
        "optimizer": {
            "beta1": share(),
            "beta2": share(),
            "epsilon": above(0),
            **dict.fromkeys(("weight_decay", "clip", "z_loss"), _RATE),
            "dtype": one_of(*DTYPES),
        },
        "tokenizer": {
            "kind": one_of(*TOKENIZERS),
            "vocabulary": at_least(BYTE_VOCABULARY),
            "end_of_document": Range(text="a text that isn't empty", holds=bool),
        },
        "sources": {"held_out": share()},
        "stage": {
            "name": NAME,
            **dict.fromkeys(("steps", "sequence_length", "batch"), _SIZE),
            "lr": above(0),
            **dict.fromkeys(("warmup_steps", "decay_steps", "lr_start", "lr_end"), _RATE),
            "rope_theta": above(1),
        },
        "checkpoints": {
            **dict.fromkeys(
                ("every_steps", "keep_every_steps", "good_after_steps", "local_every_steps", "memory_every_steps"),
                _COUNT,
            ),
            **dict.fromkeys(("keep_last", "local_keep", "memory_keep"), _SIZE),
        },
        "evaluation": {"every_steps": _COUNT, "batches": _SIZE, "command": _COMMAND},
        "metrics": {"peak_flops": _RATE},
    }
)
"""By section and field; a field that isn't here holds whatever its type does."""
