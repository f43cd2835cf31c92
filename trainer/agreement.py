"""All ranks take the same branch at the same step: one small all-reduce of what each of them alone knows."""

from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one rank would do after this step."""

    stop: int = 0
    """Number of the signal that it got; 0: none."""
    failed: bool = False
    """It can't go on."""


def agree(wish: Wish, device: torch.device) -> Wish:
    """The gravest of all ranks' wishes, the same on each. Collective."""
    if dist.get_world_size() == 1:
        return wish
    found = torch.tensor([wish.stop, int(wish.failed)], dtype=torch.int64, device=device)
    dist.all_reduce(found, op=dist.ReduceOp.MAX)
    stop, failed = found.tolist()
    return Wish(stop=stop, failed=bool(failed))
