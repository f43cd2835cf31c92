"""Cross-entropy and log-partition over a vocabulary that is split over tensor parallel ranks, in one go.

Megatron's own cross-entropy overwrites the logits and does not give the log-partition, which the z-loss needs (PaLM,
arXiv 2204.02311, section 5: 1e-4 log(Z)^2). Both come from the same two sums, so the z-loss costs nothing more.
"""

from typing import Any

import torch
import torch.distributed as dist


def vocabulary_loss(logits_bsv: torch.Tensor, labels_bs: torch.Tensor, group: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy and log Z of each token, (B, S) float32 both, equal on all ranks of `group`.

    `logits_bsv` is this rank's share of the vocabulary; labels are of the whole. Collective over `group`. Backward may
    be run once.
    """
    loss, log_z = _VocabularyLoss.apply(logits_bsv, labels_bs, group)  # type: ignore[no-untyped-call]
    return loss, log_z


class _VocabularyLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits_bsv: torch.Tensor, labels_bs: torch.Tensor, group: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        is_split = dist.get_world_size(group) > 1
        logits = logits_bsv.float()
        most = logits.amax(-1)
        if is_split:
            dist.all_reduce(most, op=dist.ReduceOp.MAX, group=group)
        first = dist.get_rank(group) * logits.shape[-1]
        is_own = (labels_bs >= first) & (labels_bs < first + logits.shape[-1])
        place = torch.where(is_own, labels_bs - first, 0)[..., None]
        of_label = torch.where(is_own, logits.gather(-1, place)[..., 0] - most, 0.0)
        share = (logits - most[..., None]).exp_()
        sums = torch.stack([share.sum(-1), of_label])
        if is_split:
            dist.all_reduce(sums, group=group)
        total, of_label = sums
        ctx.save_for_backward(share.div_(total[..., None]), place, is_own)
        ctx.dtype = logits_bsv.dtype
        log_total = total.log()
        return log_total - of_label, most + log_total

    @staticmethod
    def backward(ctx: Any, grad_loss: torch.Tensor, grad_log_z: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        softmax, place, is_own = ctx.saved_tensors
        grad = softmax.mul_((grad_loss + grad_log_z)[..., None])
        grad.scatter_add_(-1, place, -(grad_loss * is_own)[..., None])
        return grad.to(ctx.dtype), None, None
