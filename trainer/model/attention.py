"""Core attention on torch's kernels: a token sees its own document only, under context parallelism too.

Megatron hands `attention_mask` through to here unread: it carries document ids (B, S), the same number for tokens that
may see each other. Megatron's own attention drops a mask where a window is set, and refuses context parallelism.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from megatron.core import parallel_state, tensor_parallel
from megatron.core.transformer.module import MegatronModule
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from trainer.model.context import gather_sequence
from trainer.model.visible import LastVisible, Visible

_last = LastVisible()
FLEX_LEAST_HEAD = 16
"""Of a head's size, for FlexAttention's kernels (Triton's products have no smaller side)."""


class CoreAttention(MegatronModule):  # type: ignore[misc]
    """Causal attention of grouped queries. Heads are split over tensor parallel ranks, positions over context ranks."""

    def __init__(self, config: Any, attention_dropout: float | None = None, **_: Any) -> None:
        """Megatron gives more (layer, mask type, groups): all of it follows from `config` and the parallel state."""
        super().__init__(config=config)
        self._dropout = config.attention_dropout if attention_dropout is None else attention_dropout

    def forward(
        self, query_sbhd: torch.Tensor, key: torch.Tensor, value: torch.Tensor, document_ids_bs: Any, **_: Any
    ) -> torch.Tensor:
        """(S, B, heads, dim) and ids (B, S) or None -> (S, B, heads x dim). S is this context rank's share."""
        length, size = query_sbhd.shape[:2]
        group = parallel_state.get_context_parallel_group()
        visible = _last.of(document_ids_bs, length, query_sbhd.device, group)
        if not visible.is_whole:
            key, value = gather_sequence(torch.stack([key, value], dim=1), group).unbind(1)
        q, k, v = (each.permute(1, 2, 0, 3) for each in (query_sbhd, key, value))
        dropout = self._dropout if self.training else 0.0
        if dropout:
            with tensor_parallel.get_cuda_rng_tracker().fork():
                found = attend(q, k, v, visible, dropout)
        else:
            found = attend(q, k, v, visible)
        return found.permute(2, 0, 1, 3).reshape(length, size, -1)


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, visible: Visible, dropout: float = 0.0) -> torch.Tensor:
    """(B, heads, Q, dim) and (B, groups, K, dim) twice -> (B, heads, Q, dim)."""
    if visible.is_causal:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout, enable_gqa=_is_grouped(q, k))
    if is_for_flex(q.device.type, q.shape[-1], dropout):
        make, kernel = _compiled()
        return attend_by_blocks(q, k, v, visible, make=make, kernel=kernel)
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=visible.dense(q.dtype), dropout_p=dropout, enable_gqa=_is_grouped(q, k)
    )


def is_for_flex(device: str, head_size: int, dropout: float) -> bool:
    """On a GPU a dense mask costs memory and time by the square of the length; flash kernels take none."""
    return device == "cuda" and head_size >= FLEX_LEAST_HEAD and not dropout


def attend_by_blocks(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    visible: Visible,
    *,
    make: Callable[..., Any] = create_block_mask,
    kernel: Callable[..., Any] = flex_attention,
) -> torch.Tensor:
    """As `attend`, by FlexAttention; not compiled, as by default, it is exact on any device and slow."""
    found: torch.Tensor = kernel(q, k, v, block_mask=visible.blocks(make), enable_gqa=_is_grouped(q, k))
    return found


@cache
def _compiled() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Of FlexAttention: what makes masks, and the kernel. Compiled at their first use, once a process."""
    return torch.compile(create_block_mask), torch.compile(flex_attention)


def _is_grouped(q: torch.Tensor, k: torch.Tensor) -> bool:
    return q.shape[1] != k.shape[1]
