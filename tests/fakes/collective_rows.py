"""Rows of collectives, so that a test says only what it is about."""

from fryer.collectives.busbw import bandwidths, size_bytes
from fryer.collectives.cases import CollectiveCase, CollectiveRow

GIGA = 1e9


def row(
    case: CollectiveCase,
    *,
    seconds: float | None = None,
    busbw: float | None = None,
    num_ranks: int = 8,
    repeat: int = 0,
    num_wrong: int = 0,
) -> CollectiveRow:
    """One measurement, of either so many seconds or so many bytes per second of bus bandwidth."""
    size = size_bytes(case, num_ranks)
    if seconds is None:
        assert busbw is not None
        seconds = bandwidths(case.operation, size, num_ranks, 1.0)[1] / busbw
    algbw, bus = bandwidths(case.operation, size, num_ranks, seconds)
    return CollectiveRow(
        case=case,
        repeat=repeat,
        num_ranks=num_ranks,
        seconds=seconds,
        algbw_bytes_per_second=algbw,
        busbw_bytes_per_second=bus,
        num_wrong=num_wrong,
        slowest_seconds=seconds,
        wrong_ranks=(0,) if num_wrong else (),
    )
