"""What is read from disk, and what the loader makes of it for the model."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sequence of length S."""

    index: int
    """Among the samples of the stage, or among the source's held out ones."""
    source: str
    epoch: int
    """How often its source had been gone through before, in this stage."""
    tokens: NDArray[np.int64]
    """(S + 1,): inputs, and after them the last label."""


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
