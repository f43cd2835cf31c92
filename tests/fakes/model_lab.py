"""A tiny model on one rank, and what can be done to it in a test. Lives in the processes of `trainer_ranks`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import small_plan
import torch
from trainer_ranks import meeting_port

from trainer.data.batches import MicroBatch
from trainer.device.open import open_device
from trainer.plan import ModelPlan, OptimizerPlan, ParallelPlan, Plan

LENGTH, BATCH = 32, 8
BORDERS = (13, 21, 5, 32, 17, 29, 1, 24)
"""Of the first document of each sample; what follows is its second one."""
MODEL = ModelPlan(
    layers=4, hidden=64, heads=4, kv_heads=2, mlp_hidden=96, vocabulary=256, nope_every=3, init_std=0.1, qk_norm=True
)
OPTIMIZER = OptimizerPlan(dtype="fp32", epsilon=1e-4, z_loss=1e-2, clip=0.5)
"""With an epsilon that keeps the noise of tiny gradients from becoming whole steps."""


def plan_of(model: dict[str, Any] | None = None, optimizer: dict[str, Any] | None = None, **parallel: Any) -> Plan:
    return small_plan.plan(
        small_plan.stage(sequence_length=LENGTH, batch=BATCH, lr=1e-2, rope_theta=500.0),
        sources={"code": "*.py", "text": "*.txt"},
        model=replace(MODEL, **(model or {})),
        optimizer=replace(OPTIMIZER, **(optimizer or {})),
        parallel=replace(ParallelPlan(micro_batch=2), **parallel),
    )


def sample(index: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """(LENGTH + 1,) tokens, (LENGTH,) document ids."""
    generator = torch.Generator().manual_seed(1000 * seed + index)
    tokens = torch.randint(0, MODEL.vocabulary, (LENGTH + 1,), generator=generator)
    return tokens, (torch.arange(LENGTH) >= BORDERS[index % BATCH]).int()


def micro_batch(indices: list[int], seed: int = 0) -> MicroBatch:
    samples = [sample(index, seed) for index in indices]
    tokens = torch.stack([each for each, _ in samples])
    ids = torch.stack([each for _, each in samples])
    inside = torch.ones(ids.shape)
    inside[:, :-1] = (ids[:, 1:] == ids[:, :-1]).float()
    return MicroBatch(
        tokens=tokens[:, :-1].contiguous(),
        labels=tokens[:, 1:].contiguous(),
        loss_mask=inside,
        document_ids=ids,
        sample_ids=tuple(100 + index for index in indices),
        sources=tuple(("code", "text")[index % 2] for index in indices),
    )


class Lab:
    """A plan's model, fresh from the seed, among the ranks that are there."""

    def __init__(self, plan: Plan, device: Any) -> None:
        from megatron.core import parallel_state

        from trainer.model.build import build
        from trainer.model.stage import set_stage

        self.plan, self.device, self.stage = plan, device, plan.stages[0]
        self.device.seed(
            plan.seed,
            tensor_rank=parallel_state.get_tensor_model_parallel_rank(),
            pipeline_rank=parallel_state.get_pipeline_model_parallel_rank(),
        )
        self.built = build(plan, self.device, self.stage)
        set_stage(self.built, self.stage)
        self.steps_taken = 0

    @property
    def model(self) -> Any:
        from trainer.model.state import unwrapped

        return unwrapped(self.built.chunks[0])

    def pass_over(self, seed: int, *, forward_only: bool = False, z_loss: float | None = None) -> Any:
        """All samples of a step, in each rank's share."""
        from megatron.core import parallel_state

        from trainer.model.passes import forward_backward

        size, rank = parallel_state.get_data_parallel_world_size(), parallel_state.get_data_parallel_rank()
        own = list(range(rank * BATCH // size, (rank + 1) * BATCH // size))
        each = self.plan.parallel.micro_batch
        batches = [micro_batch(own[first : first + each], seed) for first in range(0, len(own), each)]
        return forward_backward(
            self.built,
            iter(batches),
            num_micro_batches=len(batches),
            micro_batch=each,
            sequence_length=LENGTH,
            device=self.device,
            z_loss=self.plan.optimizer.z_loss if z_loss is None else z_loss,
            forward_only=forward_only,
        )

    def step(self) -> dict[str, Any]:
        """One step on the next samples; all that it says."""
        from trainer.model.apply import apply_update, gradients_ready

        passed = self.pass_over(self.steps_taken)
        norm = gradients_ready(self.built)
        update = apply_update(self.built, lr=self.stage.lr, grad_norm=norm, clip=self.plan.optimizer.clip)
        self.steps_taken += 1
        return said(passed) | {"grad_norm": norm, "update_norm": update}

    def steps(self, number: int) -> list[dict[str, Any]]:
        return [self.step() for _ in range(number)]

    def digest(self) -> list[str]:
        from trainer.model.state import digests

        found = digests(self.built, self.device.rng_state())
        return [found.weights, found.optimizer, found.rng]

    def logits(self, tokens: torch.Tensor, ids: torch.Tensor | None) -> torch.Tensor:
        """(S,) -> this rank's share of (S, V), without dropout, in main memory. Not for pipelines."""
        from trainer.model.passes import on_device

        blank = torch.zeros(1, tokens.shape[0])
        batch = MicroBatch(
            tokens=tokens[None],
            labels=tokens[None],
            loss_mask=blank,
            document_ids=blank.int() if ids is None else ids[None],
            sample_ids=(0,),
            sources=("code",),
        )
        own = on_device(batch, self.device)
        self.built.chunks[0].eval()
        with torch.no_grad():
            found = self.built.chunks[0](
                input_ids=own["tokens"],
                position_ids=own["position_ids"],
                attention_mask=own["document_ids"] if self.built.masks_documents else None,
            )
        self.built.chunks[0].train()
        return found[0].cpu()

    def weights(self) -> dict[str, torch.Tensor]:
        from trainer.model.state import force_param_sync

        force_param_sync(self.built)
        return {name: each.detach().cpu().clone() for name, each in self.model.named_parameters()}

    def save(self, directory: Path) -> None:
        import torch.distributed as dist
        from megatron.core import dist_checkpointing

        from trainer.model.state import force_param_sync, sharded_state

        if dist.get_rank() == 0:
            directory.mkdir(parents=True)
        dist.barrier()
        force_param_sync(self.built)
        dist_checkpointing.save(sharded_state(self.built, is_loading=False), str(directory))
        dist.barrier()

    def load(self, directory: Path) -> None:
        from megatron.core import dist_checkpointing

        from trainer.model.state import load_state, sharded_state

        load_state(self.built, dist_checkpointing.load(sharded_state(self.built, is_loading=True), str(directory)))


class Meeting:
    """The ranks of a process, which may meet again and again in other layouts."""

    def __init__(self, place: dict[str, Any], kind: str) -> None:
        self._place = place
        self._number = 0
        self.device = open_device(kind, place["rank"])

    @contextmanager
    def lab(self, plan: Plan) -> Iterator[Lab]:
        from trainer.device.parallel import start_parallel, stop_parallel

        self._number += 1
        shown = sys.excepthook  # torch puts the rank before each line of an error, once more at each meeting
        start_parallel(
            self.device,
            plan.parallel,
            rank=self._place["rank"],
            world=self._place["world"],
            host="127.0.0.1",
            port=meeting_port(self._place, self._number),
            timeout_seconds=60,
        )
        sys.excepthook = shown
        try:
            yield Lab(plan, self.device)
        finally:
            stop_parallel()


def said(passed: Any) -> dict[str, Any]:
    return {
        "loss": passed.loss,
        "z_loss": passed.z_loss,
        "num_tokens": passed.num_tokens,
        "by_source": {name: [each.loss, each.num_tokens] for name, each in passed.by_source.items()},
        "sample_losses": {str(index): loss for index, loss in passed.sample_losses.items()},
    }
