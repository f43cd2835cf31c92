"""Core attention by torch's scaled dot product: a token sees its own document only, under context parallelism too.

Megatron hands `attention_mask` through to here unread: it carries document ids (B, S), the same number for tokens that
may see each other. Megatron's own attention drops a mask where a window is set, and refuses context parallelism.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from megatron.core import parallel_state, tensor_parallel
from megatron.core.transformer.module import MegatronModule


class CoreAttention(MegatronModule):  # type: ignore[misc]
    """Causal attention of grouped queries. Heads are split over tensor parallel ranks, positions over context ranks."""

    def __init__(self, config: Any, attention_dropout: float | None = None, **_: Any) -> None:
        """Megatron gives more (layer, mask type, groups): all of it follows from `config` and the parallel state."""
        super().__init__(config=config)
        self._dropout = config.attention_dropout if attention_dropout is None else attention_dropout
        self._context_size = config.context_parallel_size

    def forward(
        self, query_sbhd: torch.Tensor, key: torch.Tensor, value: torch.Tensor, document_ids_bs: Any, **_: Any
    ) -> torch.Tensor:
        """(S, B, heads, dim) and ids (B, S) or None -> (S, B, heads x dim). S is this context rank's share."""
        positions = None
        key_ids = document_ids_bs
        if self._context_size > 1:
            group = parallel_state.get_context_parallel_group()
            key, value = (_gathered(each, group) for each in (key, value))
            key_ids = None if document_ids_bs is None else gather_ids(document_ids_bs, group)
            positions = own_positions(key.shape[0], group, query_sbhd.device)
        mask = None
        if document_ids_bs is not None or positions is not None:
            mask = allowed(document_ids_bs, key_ids, positions, key.shape[0], query_sbhd.device)
        q, k, v = (each.permute(1, 2, 0, 3) for each in (query_sbhd, key, value))
        dropout = self._dropout if self.training else 0.0
        if dropout:
            with tensor_parallel.get_cuda_rng_tracker().fork():
                found = _attend(q, k, v, mask, dropout)
        else:
            found = _attend(q, k, v, mask, 0.0)
        return found.permute(2, 0, 1, 3).reshape(query_sbhd.shape[0], query_sbhd.shape[1], -1)


def _attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None, dropout: float
) -> torch.Tensor:
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=mask is None, dropout_p=dropout, enable_gqa=q.shape[1] != k.shape[1]
    )


_newest: tuple[tuple[int, ...], Any, torch.Tensor] | None = None
"""The last mask and what it was made from: every layer of a pass asks for the same."""


def allowed(
    query_ids: torch.Tensor | None,
    key_ids: torch.Tensor | None,
    positions: torch.Tensor | None,
    num_keys: int,
    device: torch.device,
) -> torch.Tensor:
    """(B or 1, 1, queries, keys): true where a query may see a key: not after it, and in its document."""
    global _newest  # noqa: PLW0603 - one entry, replaced whole
    made_from = (query_ids, positions, num_keys)
    key = (id(query_ids), 0 if positions is None else positions.shape[0], num_keys)
    if _newest is not None and _newest[0] == key and _newest[1][0] is query_ids:
        return _newest[2]
    keys = torch.arange(num_keys, device=device)
    queries = keys if positions is None else positions
    mask = (queries[:, None] >= keys[None, :])[None, None]
    if query_ids is not None and key_ids is not None:
        mask = mask & (query_ids[:, None, :, None] == key_ids[:, None, None, :])
    _newest = (key, made_from, mask)
    return mask


def own_positions(num_keys: int, group: Any, device: torch.device) -> torch.Tensor:
    """Places in the whole sequence of this context rank's tokens: chunk r of 2 x size, and its mirror image."""
    size, rank = dist.get_world_size(group), dist.get_rank(group)
    chunk = num_keys // (2 * size)
    first = torch.arange(rank * chunk, (rank + 1) * chunk, device=device)
    mirror = 2 * size - 1 - rank
    return torch.cat([first, torch.arange(mirror * chunk, (mirror + 1) * chunk, device=device)])


def gather_ids(ids_bs: torch.Tensor, group: Any) -> torch.Tensor:
    """Document ids of the whole sequence, in order."""
    return _in_order(_all_gather(ids_bs.transpose(0, 1).contiguous(), group)).transpose(0, 1)


def _gathered(own_sbhd: torch.Tensor, group: Any) -> torch.Tensor:
    found: torch.Tensor = _GatherSequence.apply(own_sbhd, group)  # type: ignore[no-untyped-call]
    return found


class _GatherSequence(torch.autograd.Function):
    """Shares of all context ranks put together, in order of the sequence; gradients are summed back."""

    @staticmethod
    def forward(ctx: Any, own_sbhd: torch.Tensor, group: Any) -> torch.Tensor:
        ctx.group = group
        return _in_order(_all_gather(own_sbhd.contiguous(), group))

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        grad = grad.contiguous().clone()
        dist.all_reduce(grad, group=ctx.group)
        return grad[own_positions(grad.shape[0], ctx.group, grad.device)], None


def _all_gather(own: torch.Tensor, group: Any) -> list[torch.Tensor]:
    found = [torch.empty_like(own) for _ in range(dist.get_world_size(group))]
    dist.all_gather(found, own, group=group)
    return found


def _in_order(shares: list[torch.Tensor]) -> torch.Tensor:
    """Each share is a chunk from the front and one from the back."""
    halves = [share.chunk(2, dim=0) for share in shares]
    return torch.cat([front for front, _ in halves] + [back for _, back in reversed(halves)], dim=0)
