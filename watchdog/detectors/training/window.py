"""Median and spread of the newest values, at a cost that hardly grows with the window. It judges nothing."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from watchdog.detectors.training.kept import Kept

GAUSSIAN = 1.4826
"""Standard deviation of a Gaussian over its median absolute deviation (1 / 0.6745)."""


class RobustWindow(Kept):
    """The newest `size` values, kept in order of arrival and sorted.

    Up to half of the values may be wild before median or spread is. Only finite values may be added.
    """

    KEPT = ("values",)

    def __init__(self, size: int) -> None:
        """Empty."""
        self.size = size
        self.values: deque[float] = deque(maxlen=size)
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

    @property
    def spread(self) -> float:
        """Median absolute deviation, scaled to a Gaussian's standard deviation; 0 for none or equal values.

        Half of the values, those nearest to the median, stand next to each other: their first one is searched for.
        """
        ordered = self._sorted
        if not ordered:
            return 0.0
        middle, near = self.median, (len(ordered) >> 1) + 1
        low, high = 0, len(ordered) - near
        while low < high:
            at = (low + high) >> 1
            if middle - ordered[at] > ordered[at + near] - middle:
                low = at + 1
            else:
                high = at
        return GAUSSIAN * max(middle - ordered[low], ordered[low + near - 1] - middle)

    def add(self, value: float) -> None:
        """Take one in; the oldest of a full window goes."""
        values, ordered = self.values, self._sorted
        if len(values) == self.size:
            del ordered[bisect_left(ordered, values[0])]
        values.append(value)
        insort(ordered, value)

    def refill(self, values: Iterable[float]) -> None:
        """Forget all but these."""
        self.values.clear()
        self.values.extend(values)
        self._sorted = sorted(self.values)

    def restore(self, state: Mapping[str, Any]) -> None:
        """As `Kept`; the order is sorted anew."""
        super().restore(state)
        self._sorted = sorted(self.values)
