"""Which collective a run measured: by the program's name, else by the relation of its two bandwidths. Pure."""

import re
from collections.abc import Iterable
from statistics import median

from fryer.collectives.cases import OPERATIONS
from fryer.imports.facts import CollectiveFigure

_PROGRAM = re.compile(rf"\b({'|'.join(sorted(OPERATIONS, key=len, reverse=True))})_perf\b")
_ACCURATE_BYTES_PER_SECOND = 1e10
"""From 10 GB/s on, two decimals of GB/s are 0.1 %."""


def operation_in(text: str) -> str | None:
    """The collective whose program (``all_reduce_perf``) is named in `text`."""
    found = _PROGRAM.search(text)
    return found[1] if found else None


def operation_of_figures(figures: Iterable[CollectiveFigure], num_ranks: int | None) -> str | None:
    """``all_reduce`` where busbw is 2(n-1)/n of algbw, which no other collective has; None for all others."""
    ratios = [
        each.busbw_bytes_per_second / each.algbw_bytes_per_second
        for each in figures
        if each.algbw_bytes_per_second and each.algbw_bytes_per_second >= _ACCURATE_BYTES_PER_SECOND
    ]
    if not ratios or not num_ranks or num_ranks < 3:
        return None
    expected = 2 * (num_ranks - 1) / num_ranks
    return "all_reduce" if abs(median(ratios) / expected - 1) < 0.01 else None
