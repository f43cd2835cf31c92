"""Sequences split over context parallel ranks: rank r of R has chunk r of 2 R and the chunk opposite to it.

So each rank has as many pairs of tokens to attend to as any other: Megatron's balance (get_batch_on_this_cp_rank).
"""

from typing import Any

import torch
import torch.distributed as dist


def own_positions(length: int, rank: int, size: int, device: torch.device) -> torch.Tensor:
    """(length / size,): places in the whole sequence of this rank's tokens, in the order that it has them."""
    chunk = length // (2 * size)
    opposite = 2 * size - 1 - rank
    front = torch.arange(rank * chunk, (rank + 1) * chunk, device=device)
    return torch.cat([front, torch.arange(opposite * chunk, (opposite + 1) * chunk, device=device)])


def gather_sequence(own: torch.Tensor, group: Any) -> torch.Tensor:
    """(S / size, ...) of each rank -> (S, ...) in order of the sequence; gradients are summed back to their owners."""
    found: torch.Tensor = _Gather.apply(own, group)  # type: ignore[no-untyped-call]
    return found


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: torch.Tensor, group: Any) -> torch.Tensor:
        ctx.group = group
        size = dist.get_world_size(group)
        shares = own.new_empty((size * own.shape[0], *own.shape[1:]))
        dist.all_gather_into_tensor(shares, own.contiguous(), group=group)
        whole = torch.empty_like(shares)
        whole[_by_rank(whole.shape[0], size, own.device)] = shares
        return whole

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        size = dist.get_world_size(ctx.group)
        own = grad.new_empty((grad.shape[0] // size, *grad.shape[1:]))
        by_rank = grad[_by_rank(grad.shape[0], size, grad.device)]
        dist.reduce_scatter_tensor(own, by_rank, group=ctx.group)
        return own, None


def _by_rank(length: int, size: int, device: torch.device) -> torch.Tensor:
    """(length,): places of rank 0's tokens, then of rank 1's ..."""
    return torch.cat([own_positions(length, rank, size, device) for rank in range(size)])
