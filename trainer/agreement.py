"""All ranks take the same branch at the same step: one small all-reduce of what each of them alone knows."""

import signal
from dataclasses import dataclass

import torch
import torch.distributed as dist

from trainer.stop import STOPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one rank knows after a step; what all know, once agreed."""

    stop: signal.Signals | None = None
    """The signal that asked for an end; agreed: the first of `STOPS` that any rank got."""
    digest: int = 0
    """Of the samples that this rank answers for, 64 bits signed; agreed: of all samples of the step."""


def agree(wish: Wish, device: torch.device) -> Wish:
    """The same on each rank. Collective over all of them; digests are added modulo 2^64."""
    if dist.get_world_size() == 1:
        return wish
    flags = [int(wish.stop is number) for number in STOPS]
    found = torch.tensor([wish.digest, *flags], dtype=torch.int64, device=device)
    dist.all_reduce(found)
    digest, *counts = found.tolist()
    return Wish(stop=next((number for number, count in zip(STOPS, counts, strict=True) if count), None), digest=digest)
