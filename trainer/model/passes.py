"""Forward and backward over the micro-batches of a step, by Megatron's schedules."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from megatron.core import parallel_state
from megatron.core.pipeline_parallel import get_forward_backward_func
from megatron.core.utils import get_batch_on_this_cp_rank

from trainer.data.batches import MicroBatch
from trainer.device.device import Device
from trainer.model.built import Built, PassResult
from trainer.model.loss import vocabulary_loss
from trainer.model.sums import Collected


def forward_backward(
    built: Built,
    batches: Iterator[MicroBatch],
    *,
    num_micro_batches: int,
    micro_batch: int,
    sequence_length: int,
    device: Device,
    z_loss: float = 0.0,
    forward_only: bool = False,
) -> PassResult:
    """Loss of a step, and its gradients unless `forward_only`, per token of the whole step. Collective.

    `z_loss` is the coefficient of the mean of log(Z)^2 in what is made small; the result's loss is without it.
    """
    if not forward_only:
        for chunk in built.chunks:
            chunk.zero_grad_buffer()
        built.optimizer.zero_grad()
    collected = Collected()
    get_forward_backward_func()(
        forward_step_func=partial(_forward, built=built, device=device, z_loss=z_loss, collected=collected),
        data_iterator=batches,
        model=built.chunks,
        num_microbatches=num_micro_batches,
        seq_length=sequence_length,
        micro_batch_size=micro_batch,
        forward_only=forward_only,
    )
    return collected.shared(built.sources, device.torch_device)


def _forward(
    batches: Iterator[MicroBatch], model: Any, *, built: Built, device: Device, z_loss: float, collected: Collected
) -> tuple[torch.Tensor, Callable[[torch.Tensor], Any]]:
    """Every pipeline stage reads the same micro-batches: ids of documents are needed in each of them."""
    batch = next(batches)
    collected.batches.append(batch)
    own = on_device(batch, device)
    logits_bsv = model(
        input_ids=own["tokens"],
        position_ids=own["position_ids"],
        attention_mask=own["document_ids"] if built.masks_documents else None,
    )
    return logits_bsv, partial(_loss, own=own, z_loss=z_loss, collected=collected)


def on_device(batch: MicroBatch, device: Device) -> dict[str, torch.Tensor]:
    """What the model takes, each (B, S), on the device; of the sequence this context parallel rank's share."""
    where = device.torch_device
    size, length = batch.tokens.shape
    own = {
        "tokens": batch.tokens.to(where, non_blocking=True),
        "labels": batch.labels.to(where, non_blocking=True),
        "loss_mask": batch.loss_mask.to(where, non_blocking=True),
        "document_ids": batch.document_ids.to(where, non_blocking=True),
        "position_ids": torch.arange(length, device=where).expand(size, length),
    }
    found: dict[str, torch.Tensor] = get_batch_on_this_cp_rank(own)
    return found


def _loss(
    logits_bsv: torch.Tensor, *, own: dict[str, torch.Tensor], z_loss: float, collected: Collected
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """(sum to be made small, number of tokens, nothing): Megatron divides by the tokens of the step."""
    mask_bs = own["loss_mask"]
    group = parallel_state.get_tensor_model_parallel_group()
    loss_bs, log_z_bs = vocabulary_loss(logits_bsv, own["labels"], group)
    collected.add(loss_bs, log_z_bs, mask_bs)
    wanted_bs = loss_bs + z_loss * log_z_bs**2 if z_loss else loss_bs
    return (wanted_bs * mask_bs).sum(), mask_bs.sum().to(torch.int), {}
