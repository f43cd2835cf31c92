"""A rank of a tiny training that saves and loads as it is told: the processes of the tests of checkpoints.

`main` is told rank, world, port, the plan's parts that matter and ``ops``, done in order; what an op finds goes through
a pipe as JSON. Batches are a function of the step's number.
"""

import json
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


def plan_of(given: dict[str, Any]):
    from trainer.plan import CheckpointPlan, ModelPlan, OptimizerPlan, ParallelPlan, Plan, Source, Stage, Tokenizer

    stage = Stage(name="only", steps=1000, sequence_length=16, batch=4, mixture={"text": 1.0}, lr=1e-2)
    return Plan(
        name="tiny",
        seed=3,
        model=ModelPlan(
            **(
                {"layers": 4, "hidden": 32, "heads": 4, "kv_heads": 2, "mlp_hidden": 48, "vocabulary": 128}
                | given.get("model", {})
            )
        ),
        optimizer=OptimizerPlan(**({"dtype": "fp32"} | given.get("optimizer", {}))),
        parallel=ParallelPlan(**given.get("parallel", {})),
        tokenizer=Tokenizer(),
        sources={"text": Source(name="text", text="*.txt")},
        stages=(stage,),
        checkpoints=CheckpointPlan(**given.get("checkpoints", {})),
    )


@dataclass
class Rank:
    given: dict[str, Any]
    answers: Connection
    step: int = 0
    losses: dict[int, float] = field(default_factory=dict)

    def say(self, found: dict[str, Any]) -> None:
        self.answers.send_bytes(json.dumps(found).encode())

    def start(self) -> None:
        from checkpoint_preload import device

        from trainer.device.parallel import start_parallel

        given = self.given
        self.plan = plan_of(given)
        self.device = device
        self.layout = start_parallel(
            self.device,
            self.plan.parallel,
            rank=given["rank"],
            world=given["world"],
            host="127.0.0.1",
            port=given["port"],
            timeout_seconds=60,
        )
        from megatron.core import parallel_state

        from trainer.checkpoints.durable import DurableSaver
        from trainer.checkpoints.local import LocalTier
        from trainer.checkpoints.memory import MemoryRing
        from trainer.model.build import build
        from trainer.plan.json_form import to_json

        self.device.seed(
            given.get("seed", 3),
            tensor_rank=parallel_state.get_tensor_model_parallel_rank(),
            pipeline_rank=parallel_state.get_pipeline_model_parallel_rank(),
        )
        self.built = build(self.plan, self.device, self.plan.stages[0])
        self.directory = Path(given["directory"])
        self.savers = {
            is_async: DurableSaver(
                replace(self.plan, checkpoints=replace(self.plan.checkpoints, is_async=is_async)),
                self.directory,
                self.device,
                self.layout,
                texts={"plan.json": json.dumps(to_json(self.plan))},
            )
            for is_async in (False, True)
        }
        self.local = LocalTier(self.directory / "local", self.layout, keep=2)
        self.ring = MemoryRing(keep=2)

    @property
    def header(self):
        from trainer.checkpoints.words import Header

        return Header(
            run="tiny",
            plan_hash="abc",
            step=self.step,
            stage="only",
            layout=self.layout,
            losses=dict(self.losses),
            tokens=self.step * 64,
        )

    @property
    def tensors(self):
        from trainer.checkpoints.words import Tensors

        return Tensors(built=self.built, rng=self.device.rng_state())

    def batches(self):
        import torch
        from megatron.core import parallel_state

        from trainer.data.batches import MicroBatch

        stage = self.plan.stages[0]
        generator = torch.Generator().manual_seed(self.step)
        size = (stage.batch, stage.sequence_length + 1)
        tokens = torch.randint(0, self.plan.model.vocabulary, size, generator=generator)
        own = tokens[parallel_state.get_data_parallel_rank() :: self.layout.data]
        for index in range(0, own.shape[0], self.plan.parallel.micro_batch):
            rows = own[index : index + self.plan.parallel.micro_batch]
            inputs = rows[:, :-1].contiguous()
            yield MicroBatch(
                tokens=inputs,
                labels=rows[:, 1:].contiguous(),
                loss_mask=torch.ones(inputs.shape),
                document_ids=torch.zeros(inputs.shape, dtype=torch.int32),
                sample_ids=tuple(range(index, index + rows.shape[0])),
                sources=("text",) * rows.shape[0],
            )

    def op_train(self, num: int, seconds: float = 0.0):
        from trainer.model.apply import apply_update, gradients_ready
        from trainer.model.passes import forward_backward

        stage, ended = self.plan.stages[0], []
        for _ in range(num):
            self.step += 1
            passed = forward_backward(
                self.built,
                self.batches(),
                num_micro_batches=stage.batch // self.layout.data // self.plan.parallel.micro_batch,
                micro_batch=self.plan.parallel.micro_batch,
                sequence_length=stage.sequence_length,
                device=self.device,
            )
            norm = gradients_ready(self.built)
            apply_update(self.built, lr=stage.lr, grad_norm=norm, clip=1.0)
            self.losses[self.step] = passed.loss
            ended += self.op_poll()
            time.sleep(seconds)
        return {"losses": {step: loss.hex() for step, loss in self.losses.items()}, "saved": ended}

    def op_save(self, is_async: bool):
        self.savers[is_async].begin(self.header, self.tensors)
        return [] if is_async else [row(saved) for saved in self.savers[False].poll()]

    def op_wait(self):
        return [row(saved) for saved in self.savers[True].wait()]

    def op_poll(self):
        return [row(saved) for saved in self.savers[True].poll()]

    def op_load(self, name: str):
        from trainer.checkpoints.load import load_durable, problem_of
        from trainer.checkpoints.manifest import BadCheckpoint

        path = self.directory / name
        if problem := problem_of(path):
            return {"problem": problem}
        try:
            header = load_durable(path, self.built, self.device, self.layout)
        except BadCheckpoint as error:
            return {"problem": str(error)}
        self.step, self.losses = header.step, dict(header.losses)
        return {"step": header.step}

    def op_local_put(self):
        return row(self.local.put(self.header, self.tensors))

    def op_local_steps(self):
        return self.local.common_steps()

    def op_local_load(self, step: int):
        from trainer.checkpoints.manifest import BadCheckpoint

        try:
            header = self.local.restore(step, self.built, self.device)
        except BadCheckpoint as error:
            return {"problem": str(error)}
        self.step, self.losses = header.step, dict(header.losses)
        return {"step": header.step}

    def op_memory_put(self):
        self.ring.put(self.header, self.tensors)

    def op_memory_restore(self, before: int):
        kept = self.ring.newest_before(before)
        if kept is None:
            return None
        header = self.ring.restore(kept, self.built, self.device)
        self.step, self.losses = header.step, dict(header.losses)
        return {"step": header.step}

    def op_digest(self):
        from trainer.model.state import digests

        found = digests(self.built, self.device.rng_state())
        return {"weights": found.weights, "optimizer": found.optimizer, "rng": found.rng}

    def op_move_moments(self):
        """To other memory, as nothing here does by itself: a plan of a save must not hold on to the old one."""
        from trainer.model.build import chained

        for part in chained(self.built.optimizer):
            for state in part.optimizer.state.values():
                state["exp_avg"] = state["exp_avg"].clone()

    def op_logits(self):
        """Of the next step's first sequence; world 1."""
        import torch

        from trainer.model.state import unwrapped

        model = unwrapped(self.built.chunks[0]).eval()
        tokens = next(self.batches()).tokens[:1]
        places = torch.arange(tokens.shape[1])[None]
        with torch.no_grad():
            logits = model(input_ids=tokens, position_ids=places, attention_mask=None)
        return {"tokens": tokens.tolist(), "logits": logits.tolist()}

    def op_limit_file_size(self, num_bytes: int):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, resource.RLIM_INFINITY))

    def op_slow_writer(self, seconds: float):
        """Each file takes this long: so that a kill lands in the middle of a save."""
        from trainer.checkpoints import share

        close = share._close

        def slow(stream, raw):
            raw.flush()
            self.say({"writing": raw.name})
            time.sleep(seconds)
            return close(stream, raw)

        share._close = slow

    def op_kill_writer(self):
        """Of the last rank."""
        if self.given["rank"] == self.given["world"] - 1:
            self.op_signal_writer(signal.SIGKILL)

    def op_signal_writer(self, number: int):
        for child in multiprocessing.active_children():
            os.kill(child.pid, number)


def row(saved) -> dict[str, Any]:
    return {
        "step": saved.step,
        "path": str(saved.path) if saved.path else None,
        "problem": saved.problem,
        "bytes": saved.num_bytes,
        "stalled": saved.stalled_seconds,
        "total": saved.total_seconds,
    }


def main(given: dict[str, Any], answers: Connection, errors: str) -> None:
    handle = os.open(errors, os.O_WRONLY)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    rank = Rank(given, answers)
    rank.start()
    for name, *arguments in given["ops"]:
        rank.say({"op": name, "found": getattr(rank, f"op_{name}")(*arguments)})
    from trainer.device.parallel import stop_parallel

    stop_parallel()
