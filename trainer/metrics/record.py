"""Records of a training: plain data. The module writes and judges nothing.

``type`` in JSON is the class's name in snake case. Times are Unix seconds, durations seconds.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite, isnan
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegins:
    """One start of a run."""

    run: str
    attempt: int
    at: float
    """Unix seconds."""
    plan_hash: str
    from_step: int
    resumed_from: str = ""
    """Name of the checkpoint; empty: begun anew."""
    passed_over: tuple[str, ...] = ()
    """Newer checkpoints that were not used, and why."""
    layout: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    version_changes: tuple[str, ...] = ()
    num_parameters: int = 0
    flops_formula: str = ""
    """How FLOPs per token are counted for MFU."""
    peak_flops: float | None = None
    """Of all devices together, per second; None: MFU isn't told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBegins:
    """Planned: what changes from this step on."""

    at: float
    step: int
    stage: str
    sequence_length: int
    batch: int
    rope_theta: float
    mixture: Mapping[str, float]
    epochs: Mapping[str, float] = field(default_factory=dict)
    """How often the stage goes through each source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """One step, trained, vetoed or skipped."""

    at: float
    step: int
    stage: str
    loss: float | None = None
    """Mean cross-entropy per token, nats."""
    losses: Mapping[str, float] = field(default_factory=dict)
    """By source."""
    z_loss: float | None = None
    grad_norm: float | None = None
    update_norm: float | None = None
    lr: float = 0.0
    tokens: int = 0
    """Predicted in this step."""
    total_tokens: int = 0
    seconds: float = 0.0
    tokens_per_second: float | None = None
    mfu: float | None = None
    times: Mapping[str, float] = field(default_factory=dict)
    """Seconds by phase; they sum to `seconds`."""
    batch: str = ""
    """Digest of the samples, equal for any number of ranks."""
    skipped: str = ""
    """The incident for which its samples were left out."""
    vetoed: str = ""
    """Why no update was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointChanged:
    """``complete verified good suspect bad failed deleted``."""

    at: float
    step: int
    state: str
    tier: str
    path: str = ""
    stall_seconds: float = 0.0
    seconds: float = 0.0
    num_bytes: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """Loss on held-out documents."""

    at: float
    step: int
    stage: str
    losses: Mapping[str, float]
    """By source, mean per token."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEnded:
    """The evaluation command of one checkpoint is over, or was never run."""

    at: float
    step: int
    checkpoint: str
    code: int | None
    """Exit status; negative: ended by that signal. None: it did not run, see `problem`."""
    seconds: float = 0.0
    """Until its end was seen: at most a step more than it took."""
    log: str = ""
    """File with all that it said."""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnds:
    """The end of one start."""

    at: float
    step: int
    reason: str
    code: int
    peak_memory_bytes: int = 0


Record = RunBegins | StageBegins | StepDone | CheckpointChanged | Evaluated | CommandEnded | RunEnds


def to_json(record: Record) -> dict[str, Any]:
    """With ``type``; numbers that JSON has no word for are the texts ``NaN``, ``Infinity``, ``-Infinity``."""
    return {"type": type_of(type(record)), **_plain(asdict(record))}


def type_of(kind: type[Record]) -> str:
    """``StepDone`` -> ``step_done``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value
