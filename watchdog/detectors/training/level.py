"""Where a positive series should be by now, in logs, and how far it usually is from there. It judges nothing."""

from collections import deque
from collections.abc import Iterable

from watchdog.detectors.training.kept import Kept
from watchdog.detectors.training.window import RobustWindow

BASE_POINTS = 32
"""The level is the median of so many: its own error is 0.22 of the noise, and it lags a trend by 16 points (ours)."""
SPREAD_POINTS = 128
"""The noise is that of so many: the window of OLMo-core's and Levanter's skip-step rules."""


class Level(Kept):
    """Level and noise of a logarithm, from the points that were in order. Whoever judges decides which those are."""

    KEPT = ("base", "off", "count")

    def __init__(self, floor: float, prior: float, warm_points: int) -> None:
        """`floor`: least noise; `prior`: noise assumed at the start, of which nothing is left after `warm_points`."""
        self.floor, self.prior, self.warm_points = floor, prior, warm_points
        self.base = RobustWindow(BASE_POINTS)
        self.off = RobustWindow(SPREAD_POINTS)
        self.count = 0

    def excess(self, value: float) -> float:
        """How far above the level `value` is. A rising trend is taken out; of a falling one, which changes its slope
        at any time, nothing is: a curve that flattens is no spike."""
        return value - self.base.median - max(self.off.median, 0.0)

    @property
    def noise(self) -> float:
        """Standard deviation of what is in order, robust: never below the floor, wider while few points are known."""
        known = self.off.spread
        if self.count < self.warm_points:
            return max(known * (1 + 4 / (1 + self.count)), self.prior * (1 - self.count / self.warm_points), self.floor)
        return max(known, self.floor)

    def accept(self, value: float) -> None:
        """This one was in order."""
        if self.count:
            self.off.add(value - self.base.median)
        self.base.add(value)
        self.count += 1

    def rebase(self, values: Iterable[float] = ()) -> None:
        """The level is now that of `values`; the noise stays known. Without values: all is learned anew."""
        newest = deque(values, maxlen=BASE_POINTS)
        self.base.refill(newest)
        if not newest:
            self.off.refill(())
            self.count = 0
