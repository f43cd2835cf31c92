"""What changes in a model from stage to stage."""

from functools import lru_cache, partial
from typing import Any

import torch
from megatron.core.models.common.embeddings.rotary_pos_embedding import RotaryEmbedding

from trainer.model.build import chained
from trainer.model.built import Built
from trainer.plan import Stage


def set_stage(built: Built, stage: Stage) -> None:
    """Rotary embeddings of the stage's theta. The length of sequences is an argument of each pass."""
    for chunk in built.chunks:
        for module in chunk.modules():
            if isinstance(module, RotaryEmbedding):
                _set_theta(module, stage.rope_theta)


def _set_theta(module: Any, theta: float) -> None:
    size = 2 * module.inv_freq.shape[0]
    exponents = torch.arange(0, size, 2, dtype=torch.float32, device=module.inv_freq.device) / size
    module.inv_freq = 1.0 / (theta**exponents)
    # Megatron keeps the embeddings of a length in a cache of the class's method, whatever theta was: a new one for each
    module.forward = lru_cache(maxsize=4)(partial(RotaryEmbedding.forward.__wrapped__, module))


def fresh_moments(built: Built) -> None:
    """Forget the optimizer's moments and count of steps; weights stay."""
    for part in chained(built.optimizer):
        part.optimizer.forget()
