"""The operations themselves, over a process group of torch.distributed: NCCL on GPUs, gloo on processors.

What is not as in nccl-tests:

- torch has `all_reduce`, `broadcast` and `reduce` in place only. Out of place, the input is copied into the receive
  buffer beforehand and outside the time; so both kinds take the same time and differ in what is checked.
- gloo has no operation for sendrecv and hypercube, neither has NCCL: both are made of sends and receives, as in
  nccl-tests. torch's reduce_scatter over gloo adds up the whole buffer and keeps a part: its bus bandwidth is that
  much lower, and no measure of the network.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from fryer.collectives.busbw import check_operation

COPIED_FIRST = frozenset({"all_reduce", "broadcast", "reduce"})
"""Operations that work on the receive buffer alone: it must hold what is sent."""
_ROOT = 0
# torch 2.13 renamed both; older ones know only the old name.
_all_gather: Callable[..., Any] = getattr(dist, "all_gather_single", dist.all_gather_into_tensor)
_reduce_scatter: Callable[..., Any] = getattr(dist, "reduce_scatter_single", dist.reduce_scatter_tensor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Runs operations among `num_ranks` ranks."""

    rank: int
    num_ranks: int
    group: dist.ProcessGroup

    def run(self, operation: str, send: torch.Tensor, receive: torch.Tensor) -> None:
        """Run it once: `send` and `receive` are flat, of `fryer.collectives.busbw.extent`'s lengths.

        Over gloo it is done on return; over NCCL it is queued behind the work of the current stream. Raises
        `UsageError` for an unknown operation and RuntimeError where a peer is lost.
        """
        check_operation(operation)
        _OPERATIONS[operation](self, send, receive)

    def all_reduce(self, _: torch.Tensor, receive: torch.Tensor) -> None:
        """Each receive buffer becomes the sum of all."""
        dist.all_reduce(receive, group=self.group)

    def broadcast(self, _: torch.Tensor, receive: torch.Tensor) -> None:
        """The root's receive buffer goes to all."""
        dist.broadcast(receive, _ROOT, group=self.group)

    def reduce(self, _: torch.Tensor, receive: torch.Tensor) -> None:
        """The root's receive buffer becomes the sum; the others' may hold anything afterwards."""
        dist.reduce(receive, _ROOT, group=self.group)

    def all_gather(self, send: torch.Tensor, receive: torch.Tensor) -> None:
        """Part r of each receive buffer becomes what rank r sends."""
        _all_gather(receive, send, group=self.group)

    def reduce_scatter(self, send: torch.Tensor, receive: torch.Tensor) -> None:
        """Rank r receives the sum of all parts r."""
        _reduce_scatter(receive, send, group=self.group)

    def alltoall(self, send: torch.Tensor, receive: torch.Tensor) -> None:
        """Part r of what is sent goes to rank r."""
        dist.all_to_all_single(receive, send, group=self.group)

    def gather(self, send: torch.Tensor, receive: torch.Tensor) -> None:
        """The root receives a part of each rank."""
        dist.gather(send, self._parts(receive), _ROOT, group=self.group)

    def scatter(self, send: torch.Tensor, receive: torch.Tensor) -> None:
        """Rank r receives part r of what the root sends."""
        dist.scatter(receive, self._parts(send), _ROOT, group=self.group)

    def sendrecv(self, send: torch.Tensor, receive: torch.Tensor) -> None:
        """Each rank sends to the next and receives from the one before, in a ring."""
        self._swap(send, (self.rank + 1) % self.num_ranks, receive, (self.rank - 1) % self.num_ranks)

    def hypercube(self, send: torch.Tensor, receive: torch.Tensor) -> None:
        """An all_gather in log2(n) steps, each between two ranks that differ in one bit."""
        count = send.numel()
        own = receive[self.rank * count : (self.rank + 1) * count]
        if own.data_ptr() != send.data_ptr():
            own.copy_(send)
        mask = 1
        while mask < self.num_ranks:
            held = self.rank & ~(mask - 1)
            wanted = held ^ mask
            peer = self.rank ^ mask
            length = mask * count
            self._swap(
                receive[held * count : held * count + length],
                peer,
                receive[wanted * count : wanted * count + length],
                peer,
            )
            mask <<= 1

    def _parts(self, whole: torch.Tensor) -> list[torch.Tensor] | None:
        return list(whole.chunk(self.num_ranks)) if self.rank == _ROOT else None

    def _swap(self, send: torch.Tensor, to: int, receive: torch.Tensor, source: int) -> None:
        if to == self.rank:
            receive.copy_(send)
            return
        pair = [
            dist.P2POp(dist.isend, send, group=self.group, group_peer=to),
            dist.P2POp(dist.irecv, receive, group=self.group, group_peer=source),
        ]
        for work in dist.batch_isend_irecv(pair):
            work.wait()


_OPERATIONS: Mapping[str, Callable[[Exchange, torch.Tensor, torch.Tensor], None]] = {
    "all_reduce": Exchange.all_reduce,
    "all_gather": Exchange.all_gather,
    "reduce_scatter": Exchange.reduce_scatter,
    "alltoall": Exchange.alltoall,
    "broadcast": Exchange.broadcast,
    "reduce": Exchange.reduce,
    "sendrecv": Exchange.sendrecv,
    "gather": Exchange.gather,
    "scatter": Exchange.scatter,
    "hypercube": Exchange.hypercube,
}
