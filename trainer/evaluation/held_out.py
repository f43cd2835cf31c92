"""Loss on held-out documents, per source. Changes nothing of the training: no gradient, no generator, no weight."""

from collections.abc import Iterator, Mapping

from megatron.core import parallel_state

from trainer.data.batches import MicroBatch
from trainer.data.loader import micro_batch_of
from trainer.data.stage_data import HeldOut, StageData
from trainer.device.device import Device
from trainer.model.built import Built
from trainer.model.passes import forward_backward
from trainer.model.state import force_param_sync
from trainer.plan import Plan, Stage


def evaluate(built: Built, data: StageData, plan: Plan, stage: Stage, device: Device) -> Mapping[str, float]:
    """Mean loss per token by source, over the same sequences each time; sources without held-out text are left out.

    Collective. Every rank gets the same numbers.
    """
    force_param_sync(built)
    before = device.rng_state()
    for chunk in built.chunks:
        chunk.eval()
    try:
        found = {source: _loss(built, data.held_out(source), plan, stage, device) for source in data.sources}
    finally:
        for chunk in built.chunks:
            chunk.train()
        device.set_rng_state(before)
    return {source: loss for source, loss in found.items() if loss is not None}


def _loss(built: Built, held_out: HeldOut, plan: Plan, stage: Stage, device: Device) -> float | None:
    size = parallel_state.get_data_parallel_world_size()
    micro_batch = plan.parallel.micro_batch
    most = len(held_out) // (size * micro_batch)
    rounds = min(plan.evaluation.batches, most)
    if not rounds:
        return None
    result = forward_backward(
        built,
        _batches(held_out, rounds, size, micro_batch),
        num_micro_batches=rounds,
        micro_batch=micro_batch,
        sequence_length=stage.sequence_length,
        device=device,
        forward_only=True,
    )
    return result.loss


def _batches(held_out: HeldOut, rounds: int, size: int, micro_batch: int) -> Iterator[MicroBatch]:
    rank = parallel_state.get_data_parallel_rank()
    for number in range(rounds):
        first = (number * size + rank) * micro_batch
        samples = [held_out.sample(index) for index in range(first, first + micro_batch)]
        yield micro_batch_of(samples, held_out.end_of_document)
