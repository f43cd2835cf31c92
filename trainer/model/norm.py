"""RMSNorm that Megatron's sequence parallelism knows of."""

from typing import Any

import torch


class Norm(torch.nn.RMSNorm):
    """torch's RMSNorm; its weight is marked: Megatron sums its gradient over the ranks that share a sequence."""

    def __init__(self, config: Any, hidden_size: int, eps: float = 1e-6, **_: Any) -> None:
        """Megatron's arguments."""
        super().__init__(hidden_size, eps=eps)
        setattr(self.weight, "sequence_parallel", config.sequence_parallel)  # noqa: B010 - Parameter has no such field
