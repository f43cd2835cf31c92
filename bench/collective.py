"""Bus bandwidth of our engine against a bare `torch.distributed.all_reduce` loop, in the same two processes over gloo.

Segments of both take turns, and each begins now with the one, now with the other, so that a machine whose speed drifts
slows both; the ratio is taken pair by pair.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from tempfile import TemporaryDirectory

import torch
import torch.distributed as dist

from bench.show import show
from fryer.collectives.busbw import bandwidths
from fryer.collectives.cases import CollectiveCase
from fryer.collectives.engine import Ranks, label, measure
from fryer.collectives.exchange import Exchange
from fryer.crew import make_context

NUM_RANKS = 2
PAIRS = 9
WARMUP = 2
CASES = tuple(
    CollectiveCase(operation="all_reduce", size_bytes=size, is_in_place=True, warmup=WARMUP, iterations=iterations)
    for size, iterations in ((64 << 20, 16), (256 << 20, 6))
)


def main() -> None:
    """Print the ratio of each size, and both bandwidths."""
    context = make_context()
    with TemporaryDirectory() as folder:
        started = []
        for rank in range(NUM_RANKS):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_rank, args=(sender, rank, f"{folder}/meet"), daemon=True)
            process.start()
            sender.close()
            started.append((process, receiver))
        found: list[list[tuple[float, float]]] = next(receiver.recv() for _, receiver in started)
        for process, _ in started:
            process.join()
    for case, pairs in zip(CASES, found, strict=True):
        name = f"{label(case)}, {NUM_RANKS} gloo ranks"
        show(f"{name}: engine / bare loop", [ours / bare for ours, bare in pairs], "budget >= 0.98")
        show(f"{name}: engine, GB/s busbw", [ours / 1e9 for ours, _ in pairs], "")
        show(f"{name}: bare loop, GB/s busbw", [bare / 1e9 for _, bare in pairs], "")


def _rank(sender: Connection, rank: int, path: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{path}", rank=rank, world_size=NUM_RANKS, timeout=timedelta(seconds=120)
    )
    assert dist.group.WORLD is not None
    ranks = Ranks(
        rank=rank,
        num_ranks=NUM_RANKS,
        exchange=Exchange(rank=rank, num_ranks=NUM_RANKS, group=dist.group.WORLD),
        control=dist.group.WORLD,
        device=torch.device("cpu"),
    )
    sender.send([[_pair(ranks, case, turn) for turn in range(PAIRS + 1)][1:] for case in CASES])
    dist.destroy_process_group()


def _pair(ranks: Ranks, case: CollectiveCase, turn: int) -> tuple[float, float]:
    """(ours, bare) in bytes per second."""
    segments: dict[Callable[[Ranks, CollectiveCase], float], float] = {}
    for segment in (_ours, _bare) if turn % 2 else (_bare, _ours):
        segments[segment] = segment(ranks, case)
    return segments[_ours], segments[_bare]


def _ours(ranks: Ranks, case: CollectiveCase) -> float:
    (row,) = measure(ranks, [case], 1)
    assert row.num_wrong == 0
    return row.busbw_bytes_per_second


def _bare(ranks: Ranks, case: CollectiveCase) -> float:
    """The slowest rank's, as ours."""
    buffer = torch.ones(case.size_bytes // 4)
    for _ in range(WARMUP):
        dist.all_reduce(buffer)
    dist.barrier()
    start = time.perf_counter()
    for _ in range(case.iterations):
        dist.all_reduce(buffer)
    seconds = torch.tensor([(time.perf_counter() - start) / case.iterations], dtype=torch.float64)
    dist.all_reduce(seconds, op=dist.ReduceOp.MAX)
    return bandwidths(case.operation, case.size_bytes, ranks.num_ranks, float(seconds))[1]
