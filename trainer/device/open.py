"""Opens the device that a process trains on."""

import random
import resource
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from trainer.device.device import Device
from watchdog.vocabulary.errors import UsageError

KINDS = ("auto", "cpu", "cuda")
PIPELINE_SEED_STEP = 100
"""Between pipeline stages, as Megatron's training script has it: equal layers otherwise start with equal weights."""
DENSE_FLOPS = {
    ("H100", "bf16"): 989.4e12,
    ("H100", "fp32"): 494.7e12,
    ("H200", "bf16"): 989.4e12,
    ("H200", "fp32"): 494.7e12,
    ("A100", "bf16"): 312e12,
    ("A100", "fp32"): 156e12,
}
"""NVIDIA's datasheets of the SXM parts, without sparsity; fp32 products are taken in TF32."""


def open_device(kind: str = "auto", local_rank: int = 0) -> Device:
    """The device of this process; before Megatron-core is imported. Raises `UsageError`."""
    if kind not in KINDS:
        raise UsageError(f"--device is {kind!r}; known: {', '.join(KINDS)}")
    has_cuda = torch.cuda.is_available()
    if kind == "cuda" and not has_cuda:
        raise UsageError("--device is 'cuda', but torch sees no GPU here; see nvidia-smi, or give --device cpu")
    if kind == "cpu" or not has_cuda:
        return _open_cpu()
    torch.cuda.set_device(local_rank)
    return _Cuda(local_rank)


def _open_cpu() -> Device:
    from trainer.device.cpu import generators, tensors, view  # noqa: PLC0415 - only where it is needed

    view.install()
    tensors.install()
    generators.install()
    return _Cpu()


class _Generators:
    """Seeds and states of all generators of a process."""

    def seed(self, seed: int, *, tensor_rank: int, pipeline_rank: int) -> None:
        """See `Device`."""
        from megatron.core import tensor_parallel  # noqa: PLC0415 - after the device is open

        own = seed + PIPELINE_SEED_STEP * pipeline_rank
        random.seed(own)
        np.random.seed(own)
        torch.manual_seed(own)
        tensor_parallel.model_parallel_cuda_manual_seed(own, tp_rank=tensor_rank, force_reset_rng=True)

    def rng_state(self) -> Mapping[str, Any]:
        """See `Device`."""
        from megatron.core.tensor_parallel import get_cuda_rng_tracker  # noqa: PLC0415

        name, keys, *rest = np.random.get_state()
        return {
            "python": random.getstate(),
            "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
            "torch": torch.get_rng_state(),
            "tracker": {key: state.clone() for key, state in get_cuda_rng_tracker().get_states().items()},
        }

    def set_rng_state(self, state: Mapping[str, Any]) -> None:
        """See `Device`."""
        from megatron.core.tensor_parallel import get_cuda_rng_tracker  # noqa: PLC0415

        version, internal, gauss = state["python"]
        random.setstate((version, tuple(internal), gauss))
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
        torch.set_rng_state(state["torch"])
        get_cuda_rng_tracker().set_states({key: each.clone() for key, each in state["tracker"].items()})


class _Cpu(_Generators):
    kind = "cpu"
    backend = "gloo"
    torch_device = torch.device("cpu")

    def synchronize(self) -> None:
        """Nothing is queued."""

    def peak_memory_bytes(self) -> int:
        """Of the process."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def peak_flops(self, dtype: str) -> float | None:
        """No datasheet says."""
        del dtype
        return None


class _Cuda(_Generators):
    kind = "cuda"
    backend = "nccl"

    def __init__(self, index: int) -> None:
        self.torch_device = torch.device("cuda", index)
        self._name = torch.cuda.get_device_name(index)

    def rng_state(self) -> Mapping[str, Any]:
        """With the GPU's own generator."""
        return {**super().rng_state(), "cuda": torch.cuda.get_rng_state()}

    def set_rng_state(self, state: Mapping[str, Any]) -> None:
        """With the GPU's own generator, where the state has one."""
        super().set_rng_state(state)
        if "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"])

    def synchronize(self) -> None:
        """Wait for the GPU."""
        torch.cuda.synchronize()

    def peak_memory_bytes(self) -> int:
        """Of the GPU, allocated by torch."""
        return torch.cuda.max_memory_allocated()

    def peak_flops(self, dtype: str) -> float | None:
        """By the part's name."""
        return next((rate for (part, kind), rate in DENSE_FLOPS.items() if part in self._name and kind == dtype), None)
