"""The losses of a step's samples, from wherever they were computed to every rank, in one reduction.

Each sample has a row of its own, so that every sum is taken in one order whatever the layout is.
"""

from dataclasses import dataclass, field
from math import fsum

import torch
import torch.distributed as dist
from megatron.core import parallel_state

from trainer.data.batches import MicroBatch
from trainer.model.built import PassResult, SourceLoss

COLUMNS = 5
"""Id, source, sum of losses, sum of log(Z)^2, number of tokens."""


@dataclass(slots=True, kw_only=True)
class Collected:
    """Of this rank's micro-batches, in their order. Only the last pipeline stage has sums."""

    batches: list[MicroBatch] = field(default_factory=list)
    sums_b3: list[torch.Tensor] = field(default_factory=list)
    """(B, 3) float64 each, where they were computed: this context rank's share of loss, log(Z)^2 and tokens."""

    def add(self, loss_bs: torch.Tensor, log_z_bs: torch.Tensor, mask_bs: torch.Tensor) -> None:
        """Of the next micro-batch."""
        parts = (loss_bs * mask_bs, log_z_bs**2 * mask_bs, mask_bs)
        self.sums_b3.append(torch.stack([each.detach().sum(1, dtype=torch.float64) for each in parts], dim=1))

    def shared(self, sources: tuple[str, ...], device: torch.device) -> PassResult:
        """Of the whole step, equal on each rank. Collective over all ranks; waits for the device."""
        table = self._own_rows(sources, device)
        if dist.get_world_size() > 1:
            dist.all_reduce(table)
        return _result(table.tolist(), sources)

    def _own_rows(self, sources: tuple[str, ...], device: torch.device) -> torch.Tensor:
        """(samples of the step, 5) float64 with zeros in the rows and columns of other ranks."""
        known = {name: number for number, name in enumerate(sources)}
        named = [
            (sample, known[source])
            for batch in self.batches
            for sample, source in zip(batch.sample_ids, batch.sources, strict=True)
        ]
        size, rank = parallel_state.get_data_parallel_world_size(), parallel_state.get_data_parallel_rank()
        table = torch.zeros(size * len(named), COLUMNS, dtype=torch.float64, device=device)
        own = table[rank * len(named) : (rank + 1) * len(named)]
        is_one_of_many = parallel_state.get_tensor_model_parallel_rank() == 0
        if is_one_of_many and self.sums_b3:
            own[:, 2:] = torch.cat(self.sums_b3)
            if parallel_state.get_context_parallel_rank() == 0:
                own[:, :2] = torch.tensor(named, dtype=torch.float64).to(device)
        return table


def _result(rows: list[list[float]], sources: tuple[str, ...]) -> PassResult:
    whole = _over(rows)
    tokens = max(whole.num_tokens, 1.0)
    by_source = {name: _over([row for row in rows if row[1] == number]) for number, name in enumerate(sources)}
    return PassResult(
        loss=whole.loss / tokens,
        z_loss=fsum(row[3] for row in rows) / tokens,
        num_tokens=round(whole.num_tokens),
        by_source={name: sums for name, sums in by_source.items() if sums.num_tokens},
        sample_losses={round(row[0]): row[2] / max(row[4], 1.0) for row in rows},
    )


def _over(rows: list[list[float]]) -> SourceLoss:
    return SourceLoss(loss=fsum(row[2] for row in rows), num_tokens=fsum(row[4] for row in rows))
