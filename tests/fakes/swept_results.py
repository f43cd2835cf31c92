"""A result of a fleet with sweeps in it: inside each node, and over all that are fit."""

from dataclasses import replace

from collective_rows import row
from fleet_results import make_fleet

from fryer.collectives.cases import CollectiveCase
from fryer.collectives.plateau import Judgement
from fryer.collectives.swept import BETWEEN, INSIDE, Swept
from fryer.result import Network, RunResult
from watchdog.vocabulary.verdicts import Verdict

MIB, GIB = 1 << 20, 1 << 30
GOOD = Judgement(
    verdict=Verdict.PASS,
    code="at_expected",
    message="all_reduce over 16 ranks reached 470 GB/s at 1 GiB",
    evidence={"expected": 479e9, "warn": 440e9},
)
SLOW = replace(GOOD, verdict=Verdict.FAIL, code="below_expected", message="all_reduce over 16 ranks reached 300 GB/s")


def inside(node: str, gigas: float) -> Swept:
    case = CollectiveCase(operation="all_reduce", size_bytes=8 * GIB)
    rows = tuple(row(case, busbw=(gigas + repeat - 1) * 1e9, repeat=repeat) for repeat in range(3))
    return Swept(scope=INSIDE, nodes=(node,), rows=rows, judgements=(GOOD,))


def between(nodes: tuple[str, ...], judgement: Judgement = GOOD, *, num_wrong: int = 0, num: int = 1) -> Swept:
    """`num` operations over three sizes, out of place and in place."""
    rows = tuple(
        row(
            CollectiveCase(operation=operation, size_bytes=size, is_in_place=place),
            busbw=size * 400.0,
            num_ranks=8 * len(nodes),
            num_wrong=num_wrong if size == GIB else 0,
        )
        for operation in ("all_reduce", "all_gather")[:num]
        for size in (MIB, 32 * MIB, GIB)
        for place in (False, True)
    )
    left_out = ("node009 is not among them: its own network is not fit",)
    return Swept(scope=BETWEEN, nodes=nodes, rows=rows, judgements=(judgement,) * num, left_out=left_out)


def swept_fleet(*sweeps: Swept, num_nodes: int = 4) -> RunResult:
    """`make_fleet` with these sweeps."""
    result = make_fleet(num_nodes)
    return replace(result, network=replace(result.network or Network(), sweeps=sweeps))
