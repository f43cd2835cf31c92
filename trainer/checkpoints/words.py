"""What every tier keeps. Loads no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trainer.ledger import Ledger


class State(StrEnum):
    """Life of a durable checkpoint."""

    WRITING = "writing"
    COMPLETE = "complete"
    """All is on disk, and the manifest with it."""
    VERIFIED = "verified"
    """Read back, and every hash agrees."""
    GOOD = "good"
    """`good_after_steps` healthy steps came after it."""
    SUSPECT = "suspect"
    """Something was found that may have begun before it."""
    BAD = "bad"
    """Not to be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How ranks share the model: what decides whether a resume is bitwise."""

    tensor: int
    pipeline: int
    context: int
    data: int
    sequence: bool = False

    @property
    def world(self) -> int:
        """Ranks."""
        return self.tensor * self.pipeline * self.context * self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """All of a training's state that isn't a tensor; equal on all ranks."""

    run: str
    """Id that all attempts of one training share."""
    plan_hash: str
    """Of what decides the past: see `trainer.plan.identity`."""
    step: int
    """Steps done."""
    stage: str
    layout: Layout
    ledger: Ledger = field(default_factory=Ledger)
    tokens: int = 0
    """Trained on, of all stages; skipped ones not."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of torch, megatron-core and all else that may change a result."""
    losses: Mapping[int, float] = field(default_factory=dict)
    """Of the last steps before it, by step: to see after a resume that the run goes on as it was."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """JSON-able state of others by name: detectors, budgets."""


@dataclass(slots=True, kw_only=True)
class Tensors:
    """The tensors of one rank, in Megatron's sharded form and as they are."""

    built: Any
    """`trainer.model.built.Built`."""
    rng: Mapping[str, Any]
    """As `trainer.device` gives it: tensors and tuples, of this rank."""
