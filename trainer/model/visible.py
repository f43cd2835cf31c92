"""Which keys a query may attend to: those not after it, in its own document. Made once a pass, not once a layer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from trainer.model.context import gather_sequence, own_positions


@dataclass(slots=True, kw_only=True)
class Visible:
    """Of one micro-batch on this context parallel rank: Q queries and K keys of B sequences."""

    query_ids_bq: torch.Tensor | None
    """Documents; None: a sequence is one document."""
    key_ids_bk: torch.Tensor | None
    positions_q: torch.Tensor
    """Places of the queries in the whole sequence."""
    num_keys: int
    is_whole: bool
    """The queries are all of the sequence."""
    _dense: torch.Tensor | None = field(default=None, init=False)
    _blocks: BlockMask | None = field(default=None, init=False)

    @property
    def is_causal(self) -> bool:
        """Nothing but the order counts: kernels need no mask."""
        return self.query_ids_bq is None and self.is_whole

    def dense(self, dtype: torch.dtype) -> torch.Tensor:
        """(B or 1, 1, Q, K): 0 where a query may see a key, and -inf elsewhere, to be added to scores of `dtype`."""
        if self._dense is None:
            keys = torch.arange(self.num_keys, device=self.positions_q.device)
            mask = (self.positions_q[:, None] >= keys[None, :])[None, None]
            if self.query_ids_bq is not None and self.key_ids_bk is not None:
                mask = mask & (self.query_ids_bq[:, None, :, None] == self.key_ids_bk[:, None, None, :])
            # torch makes this of a mask of truth values in every layer anew
            self._dense = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, float("-inf"))
        return self._dense

    def blocks(self, make: Callable[..., BlockMask] = create_block_mask) -> BlockMask:
        """The same for FlexAttention, which leaves out blocks in which nothing is visible."""
        if self._blocks is None:
            num_sequences = None if self.query_ids_bq is None else self.query_ids_bq.shape[0]
            self._blocks = make(
                self._rule(),
                num_sequences,
                None,
                self.positions_q.shape[0],
                self.num_keys,
                device=self.positions_q.device,
            )
        return self._blocks

    def _rule(self) -> Callable[..., torch.Tensor]:
        """Locals, not self: the compiler guards on what it closes over."""
        positions, queries, keys = self.positions_q, self.query_ids_bq, self.key_ids_bk

        def causal(b: Any, h: Any, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
            del b, h
            return positions[q] >= k

        def within_document(b: Any, h: Any, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
            assert queries is not None
            assert keys is not None
            return causal(b, h, q, k) & (queries[b, q] == keys[b, k])

        return causal if queries is None else within_document


class LastVisible:
    """Makes it, and remembers the last one: all layers of a pass ask for the same."""

    def __init__(self) -> None:
        """Nothing remembered."""
        self._made: Visible | None = None

    def of(self, ids_bq: torch.Tensor | None, num_queries: int, device: torch.device, group: Any) -> Visible:
        """For this rank's documents and number of queries. Collective over `group`, the context parallel one."""
        made = self._made
        if made is None or made.positions_q.shape[0] != num_queries or not _is_same(made.query_ids_bq, ids_bq):
            made = _make(ids_bq, num_queries, device, group)
            self._made = made
        return made


def _is_same(held: torch.Tensor | None, given: torch.Tensor | None) -> bool:
    """One memory: what is held is not given to another tensor, and a batch isn't written to. Recomputed layers get
    their arguments as new tensors over the old memory."""
    if held is None or given is None:
        return held is given
    return held.data_ptr() == given.data_ptr() and held.shape == given.shape


def _make(ids_bq: torch.Tensor | None, num_queries: int, device: torch.device, group: Any) -> Visible:
    size = dist.get_world_size(group)
    num_keys = num_queries * size
    key_ids = ids_bq
    if ids_bq is not None and size > 1:
        key_ids = gather_sequence(ids_bq.transpose(0, 1), group).transpose(0, 1).contiguous()
    positions = torch.arange(num_keys, device=device)
    return Visible(
        query_ids_bq=ids_bq,
        key_ids_bk=key_ids,
        positions_q=positions if size == 1 else own_positions(num_keys, dist.get_rank(group), size, device),
        num_keys=num_keys,
        is_whole=size == 1,
    )
