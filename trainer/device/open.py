"""Opens the device that a process trains on. Whether Megatron needs the processor's view of torch is decided here."""

import torch

from trainer.device.device import Device
from watchdog.vocabulary.errors import UsageError, nearest

KINDS = ("auto", "cpu", "cuda")


def open_device(kind: str = "auto", local_rank: int = 0) -> Device:
    """The device of this process; before Megatron-core is imported.

    Raises `UsageError` for a kind that isn't known or isn't here, RuntimeError where Megatron was imported before and
    the processor is to be trained on.
    """
    if choose(kind, has_cuda=torch.cuda.is_available()) == "cuda":
        from trainer.device.cuda import open_cuda  # noqa: PLC0415 - only where it is

        return open_cuda(local_rank)
    from trainer.device.cpu.device import open_cpu  # noqa: PLC0415 - its changes are never loaded beside CUDA

    return open_cpu()


def choose(kind: str, *, has_cuda: bool) -> str:
    """``cpu`` or ``cuda``: a GPU wherever there is one, unless the processor is asked for. Raises `UsageError`."""
    if kind not in KINDS:
        raise UsageError(f"--device is {kind!r}{nearest(kind, KINDS)}")
    if kind == "cuda" and not has_cuda:
        raise UsageError("--device is 'cuda', but torch sees no GPU here; see nvidia-smi, or give --device cpu")
    return "cuda" if has_cuda and kind != "cpu" else "cpu"
