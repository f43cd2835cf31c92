"""Throughput that falls deep for a few steps and comes back: a loader that waits, a file that must be fetched.

A drop is told when it is over. One that is not over after `most_points` is none: that is a shift's affair.
"""

from collections import deque
from dataclasses import dataclass
from math import exp, log

from watchdog.detectors.training.kept import Kept
from watchdog.detectors.training.window import RobustWindow
from watchdog.detectors.training.words import TrainingFinding
from watchdog.vocabulary.findings import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds."""

    window_points: int = 128
    """Level and noise are those of so many steps in order (ours)."""
    least_points: int = 20
    """So many are needed before any is judged: the first steps of a process are slow (ours)."""
    ratio: float = 0.8
    """Of the level, below which a step is a drop: loader stalls went to 0.69 and 0.44, storage's to 0.02 (playbook 2.1,
    2.2); short dips of a healthy run stay above 0.85."""
    z: float = 6.0
    """And so many robust deviations of the logarithm below it: of a restless run, only what stands out (ours)."""
    floor_ratio: float = 0.005
    """Least noise (ours)."""
    calm_points: int = 3
    """So many in order after each other end a drop (ours)."""
    most_points: int = 15
    """The longest in 48 nodes' data lasted 15 steps."""
    grave_ratio: float = 0.5
    """Below it the drop is told as deep (ours)."""


class Drop(Kept):
    """The detector. It is given logarithms of throughput."""

    KEPT = ("window", "start", "last", "many", "calm", "lowest", "level", "held")

    def __init__(self, limits: Limits) -> None:
        """Nothing is known at the start."""
        self.limits = limits
        self.window = RobustWindow(limits.window_points)
        self.start: int | None = None
        self.last = self.many = self.calm = 0
        self.lowest = self.level = 0.0
        self.held: deque[float] = deque(maxlen=limits.most_points)
        self._log_ratio = log(limits.ratio)

    def observe(self, step: int, value: float) -> tuple[bool, list[TrainingFinding]]:
        """Whether this step is part of a drop, and the drop that is over."""
        window, limits = self.window, self.limits
        below = value - window.median
        is_low = (
            below < self._log_ratio
            and len(window) >= limits.least_points
            and below < -limits.z * max(window.spread, limits.floor_ratio)
        )
        if not is_low:
            window.add(value)
            return False, self._calm() if self.start is not None else []
        if self.start is None:
            self.start, self.many, self.lowest, self.level = step, 0, value, window.median
            self.held.clear()
        self.many, self.calm, self.last = self.many + 1, 0, step
        self.lowest = min(self.lowest, value)
        self.held.append(value)
        if self.many > self.limits.most_points:
            # It lasts: from here on it is the level, lest all that follows be a drop.
            self.start = None
            self.window.refill(self.held)
        return True, []

    def rebase(self, values: tuple[float, ...] = ()) -> list[TrainingFinding]:
        """Another level, that of `values`; a drop that was not over by then is none."""
        over = self._over() if self.start is not None and self.calm else []
        self.start = None
        self.window.refill(values[-self.limits.window_points :])
        return over

    def finish(self) -> list[TrainingFinding]:
        """The last drop."""
        return self._over() if self.start is not None else []

    def _calm(self) -> list[TrainingFinding]:
        self.calm += 1
        return self._over() if self.calm >= self.limits.calm_points else []

    def _over(self) -> list[TrainingFinding]:
        start, self.start = self.start, None
        assert start is not None
        ratio = exp(self.lowest - self.level)
        return [
            TrainingFinding(
                kind="drop",
                metric="tokens_per_second",
                shape="deep" if ratio < self.limits.grave_ratio else "shallow",
                start=start,
                end=self.last,
                onset=start,
                last=self.last,
                severity=Severity.WARN,
                message=f"throughput fell to {ratio:.2f} of its level for {self.many} logged step"
                f"{'s' * (self.many > 1)} from step {start}",
                evidence={"ratio": ratio, "num_points": self.many},
            )
        ]
