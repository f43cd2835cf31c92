"""Process groups and Megatron's parallel state, from a plan and this process's place."""

from datetime import timedelta

import torch.distributed as dist

from trainer.checkpoints.words import Layout
from trainer.device.device import Device
from trainer.plan import ParallelPlan
from watchdog.vocabulary.errors import UsageError


def layout_of(parallel: ParallelPlan, world: int) -> Layout:
    """How `world` ranks share the model. Raises `UsageError` where they can't."""
    copy = parallel.tensor * parallel.pipeline * parallel.context
    if world % copy:
        raise UsageError(
            f"{world} ranks can't hold whole copies of a model of {parallel.tensor} x {parallel.pipeline} x "
            f"{parallel.context} (tensor x pipeline x context); give a multiple of {copy}"
        )
    return Layout(
        tensor=parallel.tensor,
        pipeline=parallel.pipeline,
        context=parallel.context,
        data=world // copy,
        sequence=parallel.sequence,
    )


def start_parallel(
    device: Device, parallel: ParallelPlan, *, rank: int, world: int, host: str, port: int, timeout_seconds: float
) -> Layout:
    """Meet the other ranks; collective. Raises `UsageError` for a world that doesn't fit the plan."""
    from megatron.core import parallel_state  # noqa: PLC0415 - after the device is open

    layout = layout_of(parallel, world)
    dist.init_process_group(
        device.backend,
        init_method=f"tcp://{host}:{port}",
        rank=rank,
        world_size=world,
        timeout=timedelta(seconds=timeout_seconds),
    )
    parallel_state.initialize_model_parallel(
        tensor_model_parallel_size=layout.tensor,
        pipeline_model_parallel_size=layout.pipeline,
        context_parallel_size=layout.context,
        distributed_timeout_minutes=timeout_seconds / 60,
    )
    return layout


def stop_parallel() -> None:
    """Leave the groups; the process may end or meet again."""
    from megatron.core import parallel_state  # noqa: PLC0415

    parallel_state.destroy_model_parallel()
    if dist.is_initialized():
        dist.destroy_process_group()
