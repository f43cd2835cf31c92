"""How many GPUs there are, for who starts a process for each."""

import torch


def count_gpus() -> int:
    """That torch can use here; makes no CUDA context."""
    return torch.cuda.device_count()
