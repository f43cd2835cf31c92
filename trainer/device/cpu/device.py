"""The processor as a device to train on. Made after the view, the tensors and the tracker are in place."""

import resource

import torch

from trainer.device.generators import Generators


class Cpu(Generators):
    """See `trainer.device.device.Device`."""

    kind = "cpu"
    backend = "gloo"
    torch_device = torch.device("cpu")
    is_deterministic = True

    def synchronize(self) -> None:
        """Nothing is queued."""

    def peak_memory_bytes(self) -> int:
        """Of the process."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB: getrusage(2)

    def peak_flops(self, dtype: str) -> float | None:
        """No datasheet says."""
        del dtype
        return None


def open_cpu() -> Cpu:
    """Prepare this process for Megatron on its processor. Raises RuntimeError where Megatron was imported before."""
    from trainer.device.cpu import generators, tensors, view  # noqa: PLC0415 - imports Megatron

    view.install()
    tensors.install()
    generators.install()
    return Cpu()
