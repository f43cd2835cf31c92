"""What ranks tell each other about checkpoints. Each function is a collective over all ranks."""

from typing import Any

import torch
import torch.distributed as dist


def to_first(value: Any) -> list[Any] | None:
    """What each rank gave, by rank, on rank 0; None elsewhere."""
    if dist.get_world_size() == 1:
        return [value]
    found: list[Any] | None = [None] * dist.get_world_size() if dist.get_rank() == 0 else None
    dist.gather_object(value, found)
    return found


def from_first(value: Any) -> Any:
    """What rank 0 gave, on each rank."""
    if dist.get_world_size() == 1:
        return value
    found = [value]
    dist.broadcast_object_list(found)
    return found[0]


def to_all(value: Any) -> list[Any]:
    """What each rank gave, by rank, on each."""
    if dist.get_world_size() == 1:
        return [value]
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found


def is_everywhere(value: bool, device: torch.device) -> bool:
    """Whether it is true on each rank: one number is reduced."""
    if dist.get_world_size() == 1:
        return value
    found = torch.tensor(int(value), dtype=torch.int32, device=device)
    dist.all_reduce(found, op=dist.ReduceOp.MIN)
    return bool(found.item())


def rank() -> int:
    """This process's. Not a collective."""
    return dist.get_rank()


def num_ranks() -> int:
    """Of the world. Not a collective."""
    return dist.get_world_size()
