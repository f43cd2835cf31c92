"""The optimizer's step, taken apart in Megatron's own order: gradients and their norm, then an update or none."""

from typing import Any

import torch
import torch.distributed as dist
from megatron.core.optimizer.clip_grads import clip_grad_by_total_norm_fp32

from trainer.model.build import chained
from trainer.model.built import Built


def gradients_ready(built: Built) -> float:
    """Norm of all gradients together, in float32, equal on all ranks; they are where the update reads them then."""
    built.optimizer.prepare_grads()
    return float(built.optimizer.get_grad_norm())


def apply_update(built: Built, *, lr: float, grad_norm: float, clip: float) -> float:
    """Clip and update; the norm of the change of all weights, equal on all ranks. Collective."""
    for part in chained(built.optimizer):
        _set_groups(part, lr)
        if clip > 0 and (parameters := part.get_parameters()):
            clip_grad_by_total_norm_fp32(parameters, max_norm=clip, total_norm=grad_norm)
    built.optimizer.step_with_ready_grads()
    squared = sum(part.optimizer.update_squared for part in chained(built.optimizer))
    return _over_all(squared, built)


def _set_groups(part: Any, lr: float) -> None:
    """The plan's numbers, each step: Megatron leaves `wd_mult` to its scheduler, and a loaded state brings its own."""
    wanted = part.config
    for group in part.optimizer.param_groups:
        group["lr"] = lr
        group["weight_decay"] = wanted.weight_decay * group["wd_mult"]
        group["betas"] = (wanted.adam_beta1, wanted.adam_beta2)
        group["eps"] = wanted.adam_eps


def discard(built: Built) -> None:
    """Make no update: weights, moments and count of steps stay as they are."""
    for chunk in built.chunks:
        chunk.zero_grad_buffer()
    built.optimizer.zero_grad()


def _over_all(squared: float, built: Built) -> float:
    total = torch.tensor(squared, dtype=torch.float64, device=next(built.chunks[0].parameters()).device)
    if dist.get_world_size() > 1:
        dist.all_reduce(total)
    return float(total.sqrt())
