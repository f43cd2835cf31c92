"""Which source of data had a loss that rose at a step: a spike of one source alone is that source's data."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from statistics import median

WINDOW_POINTS = 64
"""Usual losses are medians of so many (ours, as long as the detectors' memory of phases)."""
LEAST_POINTS = 8
"""Fewer say nothing of what is usual (ours)."""
ROSE_RATIO = 0.1
"""A source's loss rose from here on (ours)."""
ALONE = 3.0
"""So many times as much as the median of the other sources: it rose alone (ours)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRise:
    """The source that rose most at a step."""

    source: str
    before: float
    """Its usual loss."""
    value: float
    """Its loss at that step."""
    step: int
    is_alone: bool
    """The others did not rise with it."""


class SourceTrack:
    """Losses by source of the newest steps."""

    def __init__(self) -> None:
        """Nothing is known at the start."""
        self.losses: dict[str, deque[tuple[int, float]]] = {}

    def observe(self, step: int, losses: Mapping[str, float]) -> None:
        """One step's losses by source."""
        for source, loss in losses.items():
            self.losses.setdefault(source, deque(maxlen=WINDOW_POINTS)).append((step, loss))

    def rise(self, first: int, last: int) -> SourceRise | None:
        """The source that rose most from step `first` to `last`; None where none did, or too little is known."""
        rises: list[SourceRise] = []
        ratios: dict[str, float] = {}
        for source, points in self.losses.items():
            before = [loss for step, loss in points if step < first and isfinite(loss)]
            within = [
                (loss if isfinite(loss) else float("inf"), step) for step, loss in points if first <= step <= last
            ]
            if len(before) < LEAST_POINTS or not within:
                continue
            usual, (value, step) = median(before), max(within)
            if usual <= 0:
                continue
            ratios[source] = value / usual - 1
            rises.append(SourceRise(source=source, before=usual, value=value, step=step, is_alone=False))
        top = max(rises, key=lambda rise: ratios[rise.source], default=None)
        if top is None or ratios[top.source] < ROSE_RATIO:
            return None
        others = [max(ratio, 0.0) for source, ratio in ratios.items() if source != top.source]
        is_alone = bool(others) and ratios[top.source] >= ALONE * max(median(others), ROSE_RATIO / ALONE)
        return SourceRise(source=top.source, before=top.before, value=top.value, step=top.step, is_alone=is_alone)
