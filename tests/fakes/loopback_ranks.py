"""Ranks of the real engine on loopback, one of which may spoil what it receives."""

from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection

import torch
import torch.distributed as dist

from fryer.collectives.cases import CollectiveCase, CollectiveRow
from fryer.collectives.engine import Ranks, measure
from fryer.collectives.exchange import Exchange
from fryer.crew import make_context


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoilingExchange(Exchange):
    """Changes one element of what it has received: what a bad link or NIC does."""

    def run(self, operation: str, send: torch.Tensor, receive: torch.Tensor) -> None:
        Exchange.run(self, operation, send, receive)
        receive[receive.numel() // 2] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NanExchange(Exchange):
    """Receives a NaN, which equals nothing, not even itself."""

    def run(self, operation: str, send: torch.Tensor, receive: torch.Tensor) -> None:
        Exchange.run(self, operation, send, receive)
        receive[7] = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgettingExchange(Exchange):
    """Takes part, and keeps what it had before."""

    def run(self, operation: str, send: torch.Tensor, receive: torch.Tensor) -> None:
        kept = receive.clone()
        Exchange.run(self, operation, send, receive)
        receive.copy_(kept)


def measure_on_loopback(
    num_ranks: int,
    cases: tuple[CollectiveCase, ...],
    folder: str,
    *,
    bad_rank: int = -1,
    kind: type[Exchange] = SpoilingExchange,
) -> list[list[CollectiveRow]]:
    """The rows of each rank."""
    context = make_context()
    started = []
    for rank in range(num_ranks):
        receiver, sender = context.Pipe(duplex=False)
        exchange = kind if rank == bad_rank else Exchange
        arguments = (sender, rank, num_ranks, cases, f"{folder}/meet", exchange)
        process = context.Process(target=_take_part, args=arguments, daemon=True)
        process.start()
        sender.close()
        started.append((process, receiver))
    rows = [receiver.recv() for _, receiver in started]
    for process, receiver in started:
        process.join()
        receiver.close()
    return rows


def _take_part(
    sender: Connection,
    rank: int,
    num_ranks: int,
    cases: tuple[CollectiveCase, ...],
    path: str,
    kind: type[Exchange],
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{path}", rank=rank, world_size=num_ranks, timeout=timedelta(seconds=60)
    )
    assert dist.group.WORLD is not None
    ranks = Ranks(
        rank=rank,
        num_ranks=num_ranks,
        exchange=kind(rank=rank, num_ranks=num_ranks, group=dist.group.WORLD),
        control=dist.group.WORLD,
        device=torch.device("cpu"),
        transport=lambda case: f"gloo tcp, {case.dtype}",
    )
    sender.send(list(measure(ranks, cases, 1)))
    dist.destroy_process_group()
