"""Loss on held-out documents, per source. Changes nothing of the training: no gradient, no generator, no weight.

The sequences are the first of each source's held-out documents, as many as `evaluation.batches` steps of the stage
have: the same each time, and for any number of ranks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import torch
from megatron.core import parallel_state

from trainer.data.batches import MicroBatch, Sample
from trainer.data.loader import micro_batch_of
from trainer.data.stage_data import HeldOut
from trainer.device.device import Device
from trainer.model.built import Built
from trainer.model.passes import forward_backward
from trainer.model.state import force_param_sync
from trainer.plan import Plan, Stage


class HeldOutData(Protocol):
    """What is evaluated on: `StageData`."""

    @property
    def sources(self) -> Sequence[str]:
        """Names, in one order on all ranks."""
        ...

    def held_out(self, source: str) -> HeldOut:
        """Its documents that are never trained on."""
        ...


def evaluate(built: Built, data: HeldOutData, plan: Plan, stage: Stage, device: Device) -> Mapping[str, float]:
    """Mean loss per token by source; sources without held-out text are left out.

    Collective. Every rank gets the same numbers.
    """
    force_param_sync(built)
    before = device.rng_state()
    for chunk in built.chunks:
        chunk.eval()
    try:
        with torch.no_grad():
            found = {source: _loss(built, data.held_out(source), plan, stage, device) for source in data.sources}
    finally:
        for chunk in built.chunks:
            chunk.train()
        device.set_rng_state(before)
    return {source: loss for source, loss in found.items() if loss is not None}


def _loss(built: Built, held_out: HeldOut, plan: Plan, stage: Stage, device: Device) -> float | None:
    wanted = min(plan.evaluation.batches * stage.batch, len(held_out))
    if not wanted:
        return None
    size, micro_batch = parallel_state.get_data_parallel_world_size(), plan.parallel.micro_batch
    rounds = -(-wanted // (size * micro_batch))
    result = forward_backward(
        built,
        _batches(held_out, wanted, rounds, micro_batch),
        num_micro_batches=rounds,
        micro_batch=micro_batch,
        sequence_length=stage.sequence_length,
        device=device,
        forward_only=True,
    )
    return result.loss


def _batches(held_out: HeldOut, wanted: int, rounds: int, micro_batch: int) -> Iterator[MicroBatch]:
    """This rank's share of the first `wanted` sequences."""
    rank, size = parallel_state.get_data_parallel_rank(), parallel_state.get_data_parallel_world_size()
    for number in range(rounds):
        first = (number * size + rank) * micro_batch
        yield _micro_batch(held_out, range(first, first + micro_batch), wanted)


def _micro_batch(held_out: HeldOut, rows: range, wanted: int) -> MicroBatch:
    """Of the sequences `rows`. All ranks make equally many passes: one past the end is there and counts for nothing."""
    samples: list[Sample] = [held_out.sample(min(row, wanted - 1)) for row in rows]
    batch = micro_batch_of(samples, held_out.end_of_document)
    counts_b1 = torch.tensor([[float(row < wanted)] for row in rows])
    return replace(batch, loss_mask=batch.loss_mask * counts_b1)
