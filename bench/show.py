"""One line a figure: median and spread."""

from collections.abc import Sequence
from statistics import median


def show(name: str, values: Sequence[float], budget: str) -> None:
    """Print the median of `values` with minimum and maximum, beside the budget."""
    print(f"{name:<58} {median(values):9.4f}   ({min(values):.4f} to {max(values):.4f}, n={len(values)})   {budget}")
