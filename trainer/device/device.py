"""A device to train on, and the few things that differ between devices."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch


class Device(Protocol):
    """Made by `trainer.device.open.open_device`, once a process, before Megatron-core is imported."""

    kind: str
    """``cpu`` or ``cuda``."""
    backend: str
    """``gloo`` or ``nccl``."""
    torch_device: torch.device
    is_deterministic: bool
    """Equal work gives equal bits. Not so on GPUs, where sums of attention's backward pass and of NCCL have no fixed
    order, unless torch is told to use deterministic algorithms."""

    def seed(self, seed: int, *, tensor_rank: int, pipeline_rank: int) -> None:
        """Seed Python's, numpy's, torch's and Megatron's generators: TP ranks differ where weights are sharded, and
        agree where they are replicated."""
        ...

    def rng_state(self) -> Mapping[str, Any]:
        """All generators of this process: bytes, numbers, tuples and tensors."""
        ...

    def set_rng_state(self, state: Mapping[str, Any]) -> None:
        """Put back what `rng_state` gave."""
        ...

    def synchronize(self) -> None:
        """Wait for all queued work."""
        ...

    def peak_memory_bytes(self) -> int:
        """Of this process, since its start."""
        ...

    def peak_flops(self, dtype: str) -> float | None:
        """Dense, per second, from the part's datasheet; None where there is none."""
        ...
