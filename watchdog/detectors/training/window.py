"""Median and spread of the newest values, at a cost that hardly grows with the window. It judges nothing."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from watchdog.detectors.training.kept import Kept

GAUSSIAN = 1.4826
"""Standard deviation of a Gaussian over its median absolute deviation (1 / 0.6745)."""


class RobustWindow(Kept):
    """The newest `size` values, kept in order of arrival and sorted: median at once, spread renewed each few values.

    Up to half of the values may be wild before either is. Only finite values may be added.
    """

    KEPT = ("values", "spread", "stale")

    def __init__(self, size: int, refresh: int = 16) -> None:
        """`refresh`: how many values may come before the spread is computed anew; early on, each one renews it."""
        self.size, self.refresh = size, refresh
        self.values: deque[float] = deque(maxlen=size)
        self.spread = 0.0
        """Median absolute deviation, scaled to a Gaussian's standard deviation; 0 for none or equal values."""
        self.stale = 0
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._sorted)

    @property
    def median(self) -> float:
        """Middle value, the mean of the middle two of an even number; 0 for an empty window."""
        ordered = self._sorted
        half = len(ordered) >> 1
        if len(ordered) & 1:
            return ordered[half]
        return 0.5 * (ordered[half - 1] + ordered[half]) if ordered else 0.0

    def add(self, value: float) -> None:
        """Take one in; the oldest of a full window goes."""
        values, ordered = self.values, self._sorted
        if len(values) == self.size:
            del ordered[bisect_left(ordered, values[0])]
        values.append(value)
        insort(ordered, value)
        self.stale += 1
        if self.stale >= self.refresh or len(ordered) < 2 * self.refresh:
            self._renew()

    def refill(self, values: Iterable[float]) -> None:
        """Forget all but these."""
        self.values.clear()
        self.values.extend(values)
        self._sorted = sorted(self.values)
        self._renew()

    def restore(self, state: Mapping[str, Any]) -> None:
        """As `Kept`; the order is sorted anew."""
        super().restore(state)
        self._sorted = sorted(self.values)

    def _renew(self) -> None:
        middle = self.median
        # Of a sorted list these fall and then rise: the sort takes linear time.
        off = sorted([abs(value - middle) for value in self._sorted])
        self.spread = GAUSSIAN * off[len(off) >> 1] if off else 0.0
        self.stale = 0
