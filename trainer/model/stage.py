"""What changes in a model from stage to stage."""

from functools import partial
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
    old = module.inv_freq
    exponents = torch.arange(0, 2 * old.shape[0], 2, dtype=torch.float32, device=old.device) / (2 * old.shape[0])
    module.inv_freq = 1.0 / (theta**exponents)
    # Megatron keeps the embeddings of each length in a cache of the class's method; a new cache for each theta
    module.forward = partial(_uncached(), module)


def _uncached() -> Any:
    return RotaryEmbedding.forward.__wrapped__


def fresh_moments(built: Built) -> None:
    """Forget the optimizer's moments and count of steps; weights stay."""
    for part in chained(built.optimizer):
        for group in part.optimizer.param_groups:
            group["step"] = 0
            for param in group["params"]:
                for moment in part.optimizer.state.get(param, {}).values():
                    moment.zero_()
