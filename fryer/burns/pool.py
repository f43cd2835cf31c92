"""The operands of one format: a pool that fills the asked share of memory and is made anew each round."""

import hashlib
import time
from itertools import islice

import torch

from fryer.burns.operands import STORAGE
from fryer.devices import Device

FIRST_GENERATION_SHARE = 0.1
"""The first pool is no larger than can be made in this share of the burn's time, so that a short burn still burns."""
MOST_OPERANDS = 4096
LEAST_PAIRS = 64
"""Distinct pairs of a round, where the operands allow so many; a larger pool has a pair for each operand."""


def operand_seed(run_seed: int, dtype: str, round_: int, side: str, index: int) -> int:
    """Seed of one operand, equal on every device of the run: 63 bits of a hash of all that names it."""
    text = f"{run_seed}/{dtype}/{round_}/{side}/{index}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def pair_id(row: int, column: int) -> int:
    """One number for the pair (A[row], B[column]), the same whatever the size of the pool."""
    return row * MOST_OPERANDS + column


class Pool:
    """A[0..n) and B[0..n) on the device, and the order in which their pairs are multiplied."""

    def __init__(self, device: Device, dtype: str, run_seed: int, seconds: float, num_bytes: int) -> None:
        """Make the first round's operands, in at most `num_bytes` of the device's memory."""
        self.dtype = dtype
        self.round = 0
        self._device = device
        self._run_seed = run_seed
        self.a: list[torch.Tensor] = []
        self.b: list[torch.Tensor] = []
        shape = device.real_shape(dtype)
        pair_bytes = (shape.m * shape.k + shape.k * shape.n) * STORAGE[dtype].itemsize
        fitting = max(2, min(MOST_OPERANDS, num_bytes // pair_bytes))
        start = time.monotonic()
        while len(self.a) < fitting:
            self._append()
            if len(self.a) >= 2 and time.monotonic() - start > FIRST_GENERATION_SHARE * seconds:
                break
        self.generation_seconds = self._settled_since(start)

    def order(self) -> list[tuple[int, int]]:
        """Distinct pairs of a round: the diagonal first, so that every operand is used, then the next ones."""
        n = len(self.a)
        pairs = ((row, (row + shift) % n) for shift in range(n) for row in range(n))
        return list(islice(pairs, max(n, LEAST_PAIRS)))

    def seed_of(self, side: str, index: int) -> int:
        """Seed of one operand of this round."""
        return operand_seed(self._run_seed, self.dtype, self.round, side, index)

    def renew(self) -> None:
        """Begin the next round: new numbers in every operand."""
        self.round += 1
        start = time.monotonic()
        shape = self._device.real_shape(self.dtype)
        for index in range(len(self.a)):
            self.a[index] = self._device.operand(self.dtype, shape.m, shape.k, self.seed_of("a", index))
            self.b[index] = self._device.operand(self.dtype, shape.k, shape.n, self.seed_of("b", index))
        self.generation_seconds = self._settled_since(start)

    def _append(self) -> None:
        shape = self._device.real_shape(self.dtype)
        index = len(self.a)
        self.a.append(self._device.operand(self.dtype, shape.m, shape.k, self.seed_of("a", index)))
        self.b.append(self._device.operand(self.dtype, shape.k, shape.n, self.seed_of("b", index)))

    def _settled_since(self, start: float) -> float:
        """Seconds since `start`, once the device has made what was queued."""
        self._device.wait(self._device.mark())
        return time.monotonic() - start
