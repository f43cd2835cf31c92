"""One NVIDIA GPU as a device to train on. Megatron runs on it as it is."""

import os
from collections.abc import Mapping
from typing import Any

import torch

from trainer.device.generators import Generators

DENSE_FLOPS = {
    ("H100", "bf16"): 989.4e12,
    ("H100", "fp32"): 66.9e12,
    ("H200", "bf16"): 989.4e12,
    ("H200", "fp32"): 66.9e12,
    ("A100", "bf16"): 312e12,
    ("A100", "fp32"): 19.5e12,
}
"""NVIDIA's datasheets of the SXM parts, without sparsity; fp32 without TF32, which torch leaves off."""


class Cuda(Generators):
    """See `trainer.device.device.Device`."""

    kind = "cuda"
    backend = "nccl"

    def __init__(self, index: int) -> None:
        """The GPU with that index among those this process sees."""
        self.torch_device = torch.device("cuda", index)
        self.is_deterministic = torch.are_deterministic_algorithms_enabled()
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
        return dense_flops(self._name, dtype)


def dense_flops(part: str, dtype: str) -> float | None:
    """Of a GPU by the name its driver gives it; None for a part without a figure here."""
    return next((rate for (known, kind), rate in DENSE_FLOPS.items() if known in part and kind == dtype), None)


def open_cuda(index: int) -> Cuda:
    """Make it the current GPU of this process."""
    # one queue to the GPU: communication is started before the computation it hides behind (Megatron asks for it)
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "1")
    torch.cuda.set_device(index)
    return Cuda(index)
