"""What a run over many nodes is as JSON, beside the documents of each node (`fryer.outputs.documents`). Pure."""

from fryer.collectives.busbw import REDUCING, ROOTED, extent
from fryer.collectives.cases import CollectiveRow
from fryer.collectives.swept import Swept
from fryer.fleet.orders import Ended
from fryer.localise import Round, Trial
from fryer.outputs.documents import Document, document


def state_document(node: str, state: str, why: str) -> Document:
    """A node came into another state."""
    return document("state", {}, node=node, state=state, why=why)


def ended_document(ended: Ended) -> Document:
    """A worker ended before its work was done."""
    return document("ended", ended)


def round_document(this: Round) -> Document:
    """Groups of nodes begin to measure together."""
    return document("round", this)


def trial_document(trial: Trial) -> Document:
    """What one group gave."""
    return document("trial", trial)


def sweep_document(swept: Swept) -> Document:
    """What was concluded of a sweep; its rows are documents of their own, with its `scope`."""
    return document(
        "sweep",
        {
            "scope": swept.scope,
            "nodes": swept.nodes,
            "verdict": swept.verdict,
            "judgements": swept.judgements,
            "left_out": swept.left_out,
            "missing": swept.missing,
            "num_rows": len(swept.rows),
        },
    )


def collective_document(row: CollectiveRow, swept: Swept | None = None) -> Document:
    """One collective, measured once: names and units of nccl-tests (time in microseconds, bandwidths in GB/s).

    `swept`: the sweep that it is of; else it is of a round.
    """
    case = row.case
    return document(
        "collective",
        {
            "operation": case.operation,
            "size": case.size_bytes,
            "count": extent(case, row.num_ranks).count,
            "dtype": case.dtype,
            "redop": "sum" if case.operation in REDUCING else "none",
            "root": 0 if case.operation in ROOTED else -1,
            "in_place": case.is_in_place,
            "algorithm": case.algorithm,
            "transport": row.transport,
            "repeat": row.repeat,
            "num_ranks": row.num_ranks,
            "iterations": case.iterations,
            "time": row.seconds * 1e6,
            "slowest_time": row.slowest_seconds * 1e6,
            "alg_bw": row.algbw_bytes_per_second / 1e9,
            "bus_bw": row.busbw_bytes_per_second / 1e9,
            "nwrong": row.num_wrong,
            "wrong_ranks": row.wrong_ranks,
            "scope": swept.scope if swept else "round",
            "node": swept.nodes[0] if swept and len(swept.nodes) == 1 else None,
        },
    )
