"""Bus bandwidth of healthy collectives by platform, as published; a table with a source per figure. Pure.

A file of nccl-tests does not say what network or which algorithm was used. So there are two lines: what reaches
`healthy` is good on every such platform, what is below `fail` is bad on every one of them, and between the two only
someone who knows the network can tell (``--expect``). All figures are of sizes from 1 GiB up, in bytes a second.
"""

from dataclasses import dataclass

from fryer.imports.facts import CollectiveRun
from fryer.parts import FAIL_OF_TYPICAL, WARN_OF_TYPICAL

_GIGA = 1e9
_SINGLE_HEALTHY, _SINGLE_WARN, _SINGLE_FAIL = 465 / 480, 440 / 480, 335 / 480
"""Limits of 8 x H100 as shares of its typical 480 GB/s: with NVLS healthy from 465 and bad below 440; without NVLS 355
to 367 are normal and below 335 is bad."""
ONE_PORT = 12.5e9
"""A single 100 Gb/s port of a whole node. No platform of these GPUs has less, so less is the wrong path."""
ONE_PORT_MOST_NODES = 16
"""With more nodes, latency alone may keep sizes below 1 GiB under it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a run of a known platform should reach."""

    healthy: float
    """From here on: as fast as healthy machines."""
    warn: float | None = None
    """From here up to `healthy`: slow, but in use; None: not known."""
    fail: float
    """Below: bad whatever the network and the algorithm."""
    between: str = ""
    """Why what lies between can't be settled."""
    source: str


def told_by_user(busbw: float) -> Expectation:
    """An expectation that somebody stated (``--expect``), in bytes a second."""
    return Expectation(
        healthy=busbw * WARN_OF_TYPICAL,
        warn=busbw * FAIL_OF_TYPICAL,
        fail=busbw * FAIL_OF_TYPICAL,
        source=f"--expect {busbw / _GIGA:g}",
    )


def expectation(run: CollectiveRun) -> Expectation | None:
    """What healthy machines reach in this run; None where nobody published it."""
    kind = kind_of(run)
    if kind is None or run.num_nodes is None:
        return None
    if run.num_nodes == 1:
        return _one_node(run, kind)
    per_node = run.num_ranks / run.num_nodes if run.num_ranks else None
    return _BETWEEN_NODES.get((kind, per_node, min(run.num_nodes, 3))) if run.operation == "all_reduce" else None


def kind_of(run: CollectiveRun) -> str | None:
    """``H100``, ``GH200``, ``A100``: the part of a data centre that all GPUs of the run are; None for others."""
    kinds = {next((kind for kind, signs in _KINDS if all(sign in part for sign in signs)), None) for part in run.parts}
    return kinds.pop() if len(kinds) == 1 else None


_KINDS = (
    ("GH200", ("GH200",)),
    ("H100", ("H100", "HBM3")),
    ("H100", ("H200",)),
    ("A100", ("A100", "SXM")),
    ("B200", ("B200",)),
)
"""Kind and what its product name holds; an H200's NVLink and so its collectives are those of an H100."""

_ALL_REDUCE_BY_GPUS = {4: 363.0, 5: 414.0, 6: 436.0, 7: 460.0, 8: 480.0}
"""GB/s of N GPUs of an HGX H200 (ml-engineering); 480 is that of 8 H100 too (NVIDIA in nccl-tests issue 290)."""
_NVLS_LEAST_GPUS = 5
"""NVLS is used above 4 GPUs (ml-engineering)."""
_OTHERS_OF_8 = {"all_gather": 361.0, "reduce_scatter": 363.0, "alltoall": 340.0, "sendrecv": 365.0}
"""GB/s of 8 H100 in one node: ml-engineering (the first two), Smol Training Playbook."""


def _one_node(run: CollectiveRun, kind: str) -> Expectation | None:
    gpus = run.num_ranks or 8
    if kind == "A100" and gpus == 8 and run.operation == "all_reduce":
        return Expectation(
            healthy=180 * _GIGA, fail=180 * _GIGA, source="180 GB/s is the limit of the NeMo launcher for 8 A100 SXM"
        )
    if kind != "H100":
        return None
    if run.operation == "all_reduce" and gpus in _ALL_REDUCE_BY_GPUS:
        typical = _ALL_REDUCE_BY_GPUS[gpus] * _GIGA
        has_nvls = gpus >= _NVLS_LEAST_GPUS
        return Expectation(
            healthy=typical * _SINGLE_HEALTHY,
            warn=typical * _SINGLE_WARN,
            fail=typical * (_SINGLE_FAIL if has_nvls else _SINGLE_WARN),
            between="with NVLS switched off it would be normal, with NVLS it is slow",
            source=f"{typical / _GIGA:.0f} GB/s is typical of {gpus} GPUs (ml-engineering; nccl-tests issue 290)",
        )
    if gpus == 8 and run.operation in _OTHERS_OF_8:
        typical = _OTHERS_OF_8[run.operation] * _GIGA
        return Expectation(
            healthy=typical * WARN_OF_TYPICAL,
            warn=typical * FAIL_OF_TYPICAL,
            fail=typical * FAIL_OF_TYPICAL,
            source=f"{typical / _GIGA:.0f} GB/s is typical of 8 GPUs (ml-engineering, Smol Training Playbook)",
        )
    return None


_NETWORK = "it depends on the network, which the file does not tell: say --expect with what yours gives"
_H100_PAIR = Expectation(
    healthy=360 * _GIGA,
    fail=60 * _GIGA,
    between=_NETWORK,
    source="2 nodes with 8 x 400 Gb/s: 479, with Ring 368 to 396 (Smol Training Playbook; nccl-tests issues 309, 319); "
    "60 is Google's limit for the slowest platform of 8 H100",
)
_H100_MORE = Expectation(
    healthy=290 * _GIGA,
    fail=60 * _GIGA,
    between=_NETWORK,
    source="3 to 64 nodes with 8 x 400 Gb/s: 293 to 387 (Smol Training Playbook, ml-engineering, CoreWeave); 60 is "
    "Google's limit for the slowest platform of 8 H100",
)
_GH200 = Expectation(
    healthy=92 * _GIGA,
    fail=25 * _GIGA,
    between=_NETWORK,
    source="one 200 Gb/s port a superchip, 100 GB/s for a node of four; 25 is one port alone",
)
_BETWEEN_NODES = {
    ("H100", 8.0, 2): _H100_PAIR,
    ("H100", 8.0, 3): _H100_MORE,
    ("H100", None, 2): _H100_PAIR,
    ("H100", None, 3): _H100_MORE,
    ("GH200", 4.0, 2): _GH200,
    ("GH200", 4.0, 3): _GH200,
}
"""By kind, GPUs a node (None: the file does not tell) and number of nodes (3: three or more)."""
