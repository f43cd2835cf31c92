"""What the processor's device does to a process, and what it leaves alone. Lives in a process of `trainer_ranks`."""

import random
import sys
from types import ModuleType
from typing import Any

import numpy as np
import torch
from trainer_ranks import meeting_port

from trainer.device.device import Device
from trainer.device.open import open_device
from trainer.plan import ParallelPlan


def cpu(place: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"megatron first": megatron_first()}
    before = process_wide()
    device = open_device("cpu")
    found["kind"] = [device.kind, device.backend, str(device.torch_device)]
    found["torch as it was"] = all(each is was for each, was in zip(process_wide(), before, strict=True))
    found |= {"of others": of_others(), "of megatron": of_megatron(), "twice": len(finders()), "places": places(device)}
    from trainer.device.parallel import start_parallel, stop_parallel

    layout = start_parallel(
        device,
        ParallelPlan(),
        rank=0,
        world=1,
        host="127.0.0.1",
        port=meeting_port(place, 1),
        timeout_seconds=7.5,
    )
    from megatron.core import parallel_state

    group = parallel_state.get_data_parallel_group()
    found["timeout"] = group._get_backend(torch.device("cpu")).options._timeout.total_seconds()
    found["layout"] = [layout.tensor, layout.pipeline, layout.context, layout.data]
    found["seeds"] = seeds(device)
    found["generators"] = generators(device)
    stop_parallel()
    found["stopped"] = not torch.distributed.is_initialized()
    return found


def process_wide() -> list[Any]:
    """What the view overrides, for Megatron's modules only."""
    return [torch.zeros, torch.arange, torch.cuda, torch.cuda.current_device, torch.cuda.synchronize, torch.cuda.Stream]


def megatron_first() -> str:
    """What is said where Megatron was imported before."""
    sys.modules["megatron.core"] = ModuleType("megatron.core")
    try:
        open_device("cpu")
    except RuntimeError as error:
        return str(error)
    finally:
        del sys.modules["megatron.core"]
    return ""


def finders() -> list[Any]:
    """Of the view, after the device was opened again."""
    open_device("cpu")
    return [each for each in sys.meta_path if type(each).__module__ == "trainer.device.cpu.view"]


def of_others() -> dict[str, Any]:
    """A module that isn't Megatron's sees Tensor's methods as they were."""
    try:
        torch.zeros(1).cuda()
    except (AssertionError, RuntimeError):
        raised = True
    else:
        raised = False
    return {
        "type": torch.zeros(1).type(),
        "converted": str(torch.zeros(1).type(torch.float64).dtype),
        "cuda raises": raised,
    }


def of_megatron() -> dict[str, Any]:
    """Its modules see a GPU that is the processor, those that are imported later too."""
    import megatron.core.utils as early

    is_late = "megatron.core.dist_checkpointing.strategies.filesystem_async" not in sys.modules
    import megatron.core.dist_checkpointing.strategies.filesystem_async as late

    found = {"late": is_late}
    for name, module in (("early", early), ("lately", late)):
        seen = module.torch
        made = seen.zeros(2, device="cuda", pin_memory=True)
        found[name] = [str(made.device), str(seen.cuda.current_device()), seen is not torch]
    code = compile("answer = (tensor.type(), tensor.cuda() is tensor)", "inside", "exec")
    scope = {"__name__": "megatron.core.inside", "tensor": torch.zeros(1)}
    exec(code, scope)
    return found | {"type": scope["answer"][0], "cuda is itself": scope["answer"][1]}


def places(device: Device) -> dict[str, Any]:
    device.synchronize()
    return {"memory": device.peak_memory_bytes() > 10**7, "flops": device.peak_flops("bf16")}


def seeds(device: Device) -> dict[str, Any]:
    """Which generators agree between ranks with other places."""
    from megatron.core.tensor_parallel import get_cuda_rng_tracker

    def drawn(**place: int) -> tuple[list[float], list[float]]:
        device.seed(11, **place)
        with get_cuda_rng_tracker().fork():
            sharded = torch.rand(3).tolist()
        return torch.rand(3).tolist(), sharded

    first = drawn(tensor_rank=0, pipeline_rank=0)
    tensor = drawn(tensor_rank=1, pipeline_rank=0)
    pipeline = drawn(tensor_rank=0, pipeline_rank=1)
    return {
        "again": first == drawn(tensor_rank=0, pipeline_rank=0),
        "tensor": [first[0] == tensor[0], first[1] == tensor[1]],
        "pipeline": [first[0] == pipeline[0], first[1] == pipeline[1]],
    }


def generators(device: Device) -> dict[str, Any]:
    """Drawn before and after the state was put back, by each generator."""
    from megatron.core.tensor_parallel import get_cuda_rng_tracker

    def drawn() -> dict[str, Any]:
        with get_cuda_rng_tracker().fork():
            sharded = torch.rand(2).tolist()
        return {
            "python": random.random(),
            "numpy": float(np.random.rand()),
            "torch": torch.rand(2).tolist(),
            "gauss": [random.gauss(0, 1), float(np.random.randn())],
            "tracker": sharded,
        }

    drawn()
    state = device.rng_state()
    first, following = drawn(), drawn()
    device.set_rng_state(state)
    return {"first": first, "again": drawn(), "following": following}
