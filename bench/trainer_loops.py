"""The two loops that `bench.trainer` compares. Imports Megatron-core: after the device is open."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from megatron.core.pipeline_parallel import get_forward_backward_func

from bench.trainer import world
from trainer.attempt import Attempt
from trainer.checkpoints.durable import DurableSaver
from trainer.checkpoints.words import Tensors
from trainer.data.batches import MicroBatch
from trainer.device.device import Device
from trainer.device.parallel import start_parallel
from trainer.loop import Loop, Training
from trainer.options import Options
from trainer.plan import Plan
from trainer.plan.position import place_of
from trainer.stop import Stop

POLL_SECONDS = 0.2
"""Between two looks at a save that is under way, about a step."""


@dataclass(frozen=True, slots=True)
class Found:
    """Of all segments and saves."""

    ratios: list[float]
    """Seconds of a bare segment by those of ours beside it."""
    async_stalls: list[float]
    sync_stalls: list[float]


def measure(plan: Plan, options: Options, device: Device, num_steps: int, num_segments: int, num_saves: int) -> Found:
    """Take turns; then save so often each way."""
    place = world()
    layout = start_parallel(
        device, plan.parallel, rank=0, world=1, host=place.host, port=place.port, timeout_seconds=60
    )
    training = Attempt(plan, options, place, device, layout, Stop()).put_together()
    loop = Loop(training)
    loop.take(1, is_last=False)
    loader = training.open_sight(0).loader
    batches = [list(loader.micro_batches(place_of(plan, step))) for step in range(1, num_steps + 1)]
    _bare(training, batches)
    ratios = []
    for number in range(num_segments):
        ours, bare = 0.0, 0.0
        for is_ours in (True, False) if number % 2 else (False, True):
            began = time.monotonic()
            if is_ours:
                first = training.header.step + 1
                for step in range(first, first + num_steps):
                    loop.take(step, is_last=False)
                ours = time.monotonic() - began
            else:
                _bare(training, batches)
                bare = time.monotonic() - began
        ratios.append(bare / ours)
    loader.close()
    return Found(ratios, *(_stalls(plan, options, training, is_async, num_saves) for is_async in (True, False)))


def _bare(training: Training, steps: list[list[MicroBatch]]) -> None:
    """What a short script of Megatron-core's examples does: passes, then the optimizer's own step."""
    model, optimizer = training.built.chunks, training.built.optimizer
    for batches in steps:
        for chunk in model:
            chunk.zero_grad_buffer()
        optimizer.zero_grad()
        get_forward_backward_func()(
            forward_step_func=_forward,
            data_iterator=iter(batches),
            model=model,
            num_microbatches=len(batches),
            seq_length=batches[0].tokens.shape[1],
            micro_batch_size=batches[0].tokens.shape[0],
            forward_only=False,
        )
        optimizer.step()


def _forward(batches: Iterator[MicroBatch], model: Any) -> tuple[torch.Tensor, Any]:
    batch = next(batches)
    positions = torch.arange(batch.tokens.shape[1]).expand_as(batch.tokens)
    losses = model(batch.tokens, positions, batch.document_ids, labels=batch.labels)
    return losses, partial(_loss, mask=batch.loss_mask)


def _loss(losses: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    total = (losses * mask).sum()
    return total, mask.sum().to(torch.int), {"loss": total.detach()}


def _stalls(plan: Plan, options: Options, training: Training, is_async: bool, num_saves: int) -> list[float]:
    """Seconds in which training stands still, a save; the first one is left out: it starts what the others use."""
    wanted = replace(plan, checkpoints=replace(plan.checkpoints, is_async=is_async))
    directory = options.run / ("async" if is_async else "sync")
    directory.mkdir(parents=True)
    saver = DurableSaver(wanted, directory, training.device, training.header.layout)
    found = []
    for number in range(num_saves + 1):
        header = replace(training.header, step=number + 1)
        saver.begin(header, Tensors(built=training.built, rng=training.device.rng_state()))
        # as the loop does after each step: what the save takes beside training is no stall
        ended = saver.poll()
        while not ended:
            time.sleep(POLL_SECONDS)
            ended = saver.poll()
        found += [saved.stalled_seconds for saved in ended]
    return found[1:]
