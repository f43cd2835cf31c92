"""The ranks of one node: they come in together, agree at each step, sum exactly known numbers, and leave together.

It measures nothing. Agreement goes over gloo and host memory even where the sums go over NCCL: a rank that is missing
is then an error with a deadline, while NCCL would hang, or end the process.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from fryer.devices import Device, Mark

JOIN_SECONDS = 60.0
"""For the slowest process of a node to start; on the machine's clock."""
AGREE_SECONDS = 10.0
"""For the slowest rank to come to the next step, which takes under a second when all is well."""
MODULUS = 7
"""Ranks send small integers: their sums are exact in 32-bit floats, in whatever order they are added."""
_POLL_SECONDS = 0.0005
_SOURCE_FILE = re.compile(r"^\[[^\]]*:\d+\] ")


class RankMissingError(Exception):
    """Some rank did not come; the message says to what, and what is known of the reason."""


@dataclass(frozen=True, slots=True)
class Group:
    """All ranks of the node."""

    rank: int
    num_ranks: int
    agreement: dist.ProcessGroup
    sums: dist.ProcessGroup
    agree_seconds: float

    def agree(self, values: Sequence[float], at: str) -> list[float]:
        """The maximum of each value over all ranks; raises `RankMissingError`, whose message says `at` what."""
        shared = torch.tensor(values, dtype=torch.float64)
        try:
            dist.all_reduce(shared, op=dist.ReduceOp.MAX, group=self.agreement)
        except RuntimeError as why:  # torch names no finer error for a late or lost peer
            raise RankMissingError(self._missing(at, why)) from why
        return [float(value) for value in shared]

    def sum_all(self, buffers: Sequence[torch.Tensor], mark: Callable[[], Mark], at: str) -> Mark:
        """Replace each buffer by its sum over all ranks, behind the work of the current lane.

        Returns when the sums are done, with the mark that `mark` set behind them; raises `RankMissingError`.
        """
        try:
            works = [dist.all_reduce(buffer, group=self.sums, async_op=True) for buffer in buffers]
            for work in works:
                work.wait()  # NCCL: makes the lane wait, not us; gloo: blocks, with the group's deadline
            behind = mark()
            give_up = time.monotonic() + self.agree_seconds
            while not works[-1].is_completed():
                if time.monotonic() > give_up:
                    raise RankMissingError(self._missing(at, f"not done after {self.agree_seconds:g} s"))
                time.sleep(_POLL_SECONDS)
        except RuntimeError as why:
            raise RankMissingError(self._missing(at, why)) from why
        return behind

    def _missing(self, at: str, why: object) -> str:
        return (
            f"rank {self.rank} of {self.num_ranks} lost the others at {at}: {_gist(why)}; the rank to "
            f"look at is the one whose own records of this burn stop first"
        )


@contextmanager
def joined(
    device: Device,
    *,
    rendezvous: str,
    rank: int,
    num_ranks: int,
    join_seconds: float = JOIN_SECONDS,
    agree_seconds: float = AGREE_SECONDS,
) -> Iterator[Group]:
    """Join the ranks of the node; raises `RankMissingError` when they are not complete in time."""
    os.environ["TORCH_NCCL_ASYNC_ERROR_HANDLING"] = "0"  # else its watchdog ends the process and tells us nothing
    backend = "gloo" if device.torch_device.type == "cpu" else "nccl"
    try:
        dist.init_process_group(
            "gloo", init_method=rendezvous, rank=rank, world_size=num_ranks, timeout=timedelta(seconds=join_seconds)
        )
    except RuntimeError as why:
        raise RankMissingError(
            f"rank {rank} of {num_ranks} waited up to {join_seconds:g} s at {rendezvous} for the "
            f"others to start: {_gist(why)}"
        ) from why
    try:
        deadline = timedelta(seconds=agree_seconds)
        yield Group(
            rank,
            num_ranks,
            dist.new_group(backend="gloo", timeout=deadline),
            dist.new_group(backend=backend, timeout=deadline),
            agree_seconds,
        )
    finally:
        dist.destroy_process_group()


def fill_addends(buffer: torch.Tensor, rank: int) -> None:
    """What `rank` adds: (place + rank) mod `MODULUS`, as floats of shape (n,)."""
    period = torch.arange(rank, rank + MODULUS, device=buffer.device).remainder_(MODULUS).to(buffer.dtype)
    _tile(buffer, period)


def wrong_sums(buffer: torch.Tensor, num_ranks: int) -> tuple[int, float, float, int] | None:
    """(first index, expected, read, how many) of the sums that are wrong; None when all are right. NaN is wrong."""
    period = torch.zeros(MODULUS, device=buffer.device, dtype=buffer.dtype)
    for rank in range(num_ranks):
        addends = torch.empty_like(period)
        fill_addends(addends, rank)
        period += addends
    expected = torch.empty_like(buffer)
    _tile(expected, period)
    differs = torch.ne(buffer, expected)
    count = int(differs.sum())
    if not count:
        return None
    index = int(differs.nonzero()[0])
    return index, float(expected[index]), float(buffer[index]), count


def _tile(buffer: torch.Tensor, period: torch.Tensor) -> None:
    """Fill a flat buffer with `period` over and over."""
    whole = buffer.numel() // MODULUS * MODULUS
    buffer[:whole].view(-1, MODULUS).copy_(period)
    buffer[whole:].copy_(period[: buffer.numel() - whole])


def _gist(why: object) -> str:
    """First sentence of an error of torch or gloo, without the source file that it names in front."""
    text = _SOURCE_FILE.sub("", (str(why).strip().splitlines() or [type(why).__name__])[0])
    return text.split(". ")[0].rstrip(".")
