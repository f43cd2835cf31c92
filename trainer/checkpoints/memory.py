"""Tier 0: the last few states in each rank's own memory, for going back within seconds. Gone with the process."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch

from trainer.checkpoints.words import Header, Tensors
from trainer.device.device import Device
from trainer.model.built import Built


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """One state."""

    header: Header
    tensors: Mapping[str, torch.Tensor]
    """Copies in main memory; page-locked where they came from a GPU."""
    rng: Mapping[str, Any]


class MemoryRing:
    """States of this rank, the oldest overwritten first. All ranks put at the same steps, so they hold the same."""

    def __init__(self, keep: int) -> None:
        """`keep` states, at least 1; their memory is taken at the first `keep` puts and then used again."""
        assert keep >= 1
        self._keep = keep
        self._ring: list[Remembered] = []

    @property
    def steps(self) -> list[int]:
        """Of what it holds, oldest first."""
        return [each.header.step for each in self._ring]

    def put(self, header: Header, tensors: Tensors) -> None:
        """Copy the state of now; blocks until it is copied. A state of the same step, or of a later one from before a
        rollback, is forgotten."""
        from trainer.model.state import force_param_sync, local_tensors  # noqa: PLC0415 - Megatron

        self.forget_from(header.step)
        force_param_sync(tensors.built)
        own = local_tensors(tensors.built)
        old = self._ring.pop(0).tensors if len(self._ring) >= self._keep else {}
        copies = {name: _copy(tensor, old.get(name)) for name, tensor in own.items()}
        if any(tensor.is_cuda for tensor in own.values()):
            torch.cuda.synchronize()  # copies into page-locked memory are queued
        self._ring.append(Remembered(header=header, tensors=copies, rng=deepcopy(dict(tensors.rng))))

    def newest_before(self, step: int) -> Remembered | None:
        """The newest with less than `step` steps behind it."""
        return max((each for each in self._ring if each.header.step < step), key=_step, default=None)

    def at(self, step: int) -> Remembered | None:
        """The one of exactly that step."""
        return next((each for each in self._ring if each.header.step == step), None)

    def forget_from(self, step: int) -> None:
        """Drop all of `step` and after it: what a rollback went back behind."""
        self._ring = [each for each in self._ring if each.header.step < step]

    def restore(self, remembered: Remembered, built: Built, device: Device) -> Header:
        """Put a state back, to the bit. It stays in the ring."""
        from trainer.model.state import restore_local  # noqa: PLC0415 - Megatron

        restore_local(built, remembered.tensors)
        device.set_rng_state(deepcopy(dict(remembered.rng)))
        return remembered.header


def _step(remembered: Remembered) -> int:
    return remembered.header.step


def _copy(tensor: torch.Tensor, old: torch.Tensor | None) -> torch.Tensor:
    if old is None or old.shape != tensor.shape or old.dtype != tensor.dtype:
        old = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
    return old.copy_(tensor.detach(), non_blocking=tensor.is_cuda)
