"""What is trained, as one object, and what a pass over it gives."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(slots=True, kw_only=True)
class Built:
    """A model on this rank. Made by `trainer.model.build.build`."""

    chunks: list[Any]
    """Megatron's DistributedDataParallel, one a virtual pipeline stage."""
    optimizer: Any
    """MegatronOptimizer."""
    config: Any
    """TransformerConfig."""
    sources: tuple[str, ...] = ()
    """Names, in one order on all ranks."""
    masks_documents: bool = True
    """A token sees its own document only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLoss:
    """Sums over one source's tokens."""

    loss: float = 0.0
    """Of cross-entropy, in nats."""
    num_tokens: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """One forward (and backward) pass over all micro-batches of a step, summed over all ranks: equal on each."""

    loss: float
    """Mean cross-entropy per token; NaN stays NaN."""
    z_loss: float
    """Mean log(Z)^2 per token, before its coefficient; also where that is 0."""
    num_tokens: int
    by_source: Mapping[str, SourceLoss] = field(default_factory=dict)
    sample_losses: Mapping[int, float] = field(default_factory=dict)
    """Mean loss of each sample of the step, by its index in the stage: evidence for a veto."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """64-bit fingerprints of this rank's state, for proving that two runs are equal to the bit."""

    weights: str
    optimizer: str
    rng: str


def digest_of(tensors: Mapping[str, torch.Tensor]) -> str:
    """One fingerprint of named tensors: of names, shapes, dtypes and raw bits, in order of the names."""
    found = hashlib.blake2b(digest_size=8)
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous().cpu()
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()
