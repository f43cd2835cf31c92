"""Forward and backward over the micro-batches of a step, by Megatron's schedules, and the sums that all ranks share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from megatron.core import parallel_state, tensor_parallel
from megatron.core.pipeline_parallel import get_forward_backward_func
from megatron.core.utils import get_batch_on_this_cp_rank

from trainer.data.batches import MicroBatch
from trainer.device.device import Device
from trainer.model.built import Built, PassResult, SourceLoss


@dataclass(slots=True)
class _Sums:
    """Of one micro-batch on the last pipeline stage: this context rank's share."""

    batch: MicroBatch
    loss_b: torch.Tensor
    z_b: torch.Tensor
    tokens_b: torch.Tensor


@dataclass(slots=True)
class _Collected:
    found: list[_Sums] = field(default_factory=list)


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
    """Loss of a step, and its gradients unless `forward_only`, per token of the whole step. Collective."""
    if not forward_only:
        for chunk in built.chunks:
            chunk.zero_grad_buffer()
        built.optimizer.zero_grad()
    collected = _Collected()
    get_forward_backward_func()(
        forward_step_func=partial(_forward, built=built, device=device, z_loss=z_loss, collected=collected),
        data_iterator=batches,
        model=built.chunks,
        num_microbatches=num_micro_batches,
        seq_length=sequence_length,
        micro_batch_size=micro_batch,
        forward_only=forward_only,
    )
    return _shared(collected.found, built.sources, device.torch_device)


def _forward(
    batches: Iterator[MicroBatch], model: Any, *, built: Built, device: Device, z_loss: float, collected: _Collected
) -> tuple[torch.Tensor, Callable[[torch.Tensor], Any]]:
    batch = next(batches)
    own = _to_device(batch, device)
    logits = model(
        input_ids=own["tokens"],
        position_ids=own["position_ids"],
        attention_mask=own["document_ids"] if built.masks_documents else None,
    )
    return logits, partial(_loss, batch=batch, own=own, z_loss=z_loss, collected=collected)


def _to_device(batch: MicroBatch, device: Device) -> dict[str, torch.Tensor]:
    where = device.torch_device
    size, length = batch.tokens.shape
    own = {
        "tokens": batch.tokens.to(where),
        "labels": batch.labels.to(where),
        "loss_mask": batch.loss_mask.to(where),
        "document_ids": batch.document_ids.to(where),
        "position_ids": torch.arange(length, device=where).expand(size, length),
    }
    found: dict[str, torch.Tensor] = get_batch_on_this_cp_rank(own)
    return found


def _loss(
    logits_bsv: torch.Tensor, *, batch: MicroBatch, own: dict[str, torch.Tensor], z_loss: float, collected: _Collected
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """(sum to be made small, number of tokens, nothing): Megatron divides by the tokens of the step."""
    mask_bs = own["loss_mask"]
    logits_sbv = logits_bsv.transpose(0, 1).contiguous()
    # in place on its own copy where it must be: a second use of the logits needs its own
    z_bs = log_partition(logits_sbv).transpose(0, 1) ** 2 if z_loss else torch.zeros_like(mask_bs)
    loss_sb = tensor_parallel.vocab_parallel_cross_entropy(
        logits_sbv.float(), own["labels"].transpose(0, 1).contiguous()
    )
    masked_bs, z_masked_bs = loss_sb.transpose(0, 1) * mask_bs, z_bs * mask_bs
    collected.found.append(
        _Sums(
            batch=batch,
            loss_b=masked_bs.detach().sum(1, dtype=torch.float64),
            z_b=z_masked_bs.detach().sum(1, dtype=torch.float64),
            tokens_b=mask_bs.sum(1, dtype=torch.float64),
        )
    )
    total = masked_bs.sum() + z_loss * z_masked_bs.sum() if z_loss else masked_bs.sum()
    return total, mask_bs.sum().to(torch.int), {}


def log_partition(logits_sbv: torch.Tensor) -> torch.Tensor:
    """log of the sum of exponentials over the whole vocabulary, (S, B) float32, from this tensor rank's share of it."""
    logits = logits_sbv.float()
    most = logits.detach().amax(-1)
    if parallel_state.get_tensor_model_parallel_world_size() > 1:
        dist.all_reduce(most, op=dist.ReduceOp.MAX, group=parallel_state.get_tensor_model_parallel_group())
    own = (logits - most[..., None]).exp().sum(-1)
    total: torch.Tensor = tensor_parallel.reduce_from_tensor_model_parallel_region(own)
    return most + total.log()


def _shared(found: list[_Sums], sources: tuple[str, ...], device: torch.device) -> PassResult:
    """Sums over all ranks, in one reduction. Only the last pipeline stage has any, and each tensor rank the same."""
    sums = torch.zeros(3 + 2 * len(sources), dtype=torch.float64)
    is_first = parallel_state.get_tensor_model_parallel_rank() == 0
    for each in found if is_first else ():
        loss_b, z_b, tokens_b = each.loss_b.cpu(), each.z_b.cpu(), each.tokens_b.cpu()
        sums[:3] += torch.stack([loss_b.sum(), z_b.sum(), tokens_b.sum()])
        for row, source in enumerate(each.batch.sources):
            place = 3 + 2 * sources.index(source)
            sums[place : place + 2] += torch.stack([loss_b[row], tokens_b[row]])
    sums = sums.to(device)
    if dist.get_world_size() > 1:
        dist.all_reduce(sums)
    loss, z, tokens, *rest = sums.tolist()
    return PassResult(
        loss=loss / max(tokens, 1.0),
        z_loss=z / max(tokens, 1.0),
        num_tokens=round(tokens) if tokens == tokens else 0,  # noqa: PLR0124 - NaN is not itself
        by_source={
            source: SourceLoss(loss=rest[2 * index], num_tokens=rest[2 * index + 1])
            for index, source in enumerate(sources)
            if rest[2 * index + 1]
        },
        sample_losses=_of_samples(found),
    )


def _of_samples(found: list[_Sums]) -> dict[int, float]:
    """Mean loss of each sample of this data parallel rank; empty but on the last pipeline stage."""
    if not found:
        return {}
    sums = torch.stack([torch.cat([each.loss_b for each in found]), torch.cat([each.tokens_b for each in found])])
    if parallel_state.get_context_parallel_world_size() > 1:
        dist.all_reduce(sums, group=parallel_state.get_context_parallel_group())
    losses, tokens = sums.tolist()
    ids = [sample for each in found for sample in each.batch.sample_ids]
    return {sample: loss / max(count, 1.0) for sample, loss, count in zip(ids, losses, tokens, strict=True)}
