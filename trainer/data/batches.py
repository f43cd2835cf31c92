"""What the loader hands to the model."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatch:
    """Sequences of one forward pass of one data parallel rank, on the processor's side. B sequences of length S."""

    tokens: torch.Tensor
    """(B, S) int64."""
    labels: torch.Tensor
    """(B, S) int64: the token that follows."""
    loss_mask: torch.Tensor
    """(B, S) float32: 0 where the label lies in another document (or is padding)."""
    document_ids: torch.Tensor
    """(B, S) int32, growing from 0 along a sequence: equal where tokens may attend to each other."""
    sample_ids: tuple[int, ...]
    """Index of each sequence among the samples of its stage."""
    sources: tuple[str, ...]
    """Of each sequence."""
