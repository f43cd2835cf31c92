"""A loss that creeps up: no single step stands out, and the level rises for good.

Medians of blocks: the newest few against the lowest that the run has reached. A step that stood out is not in them.
"""

from collections import deque
from dataclasses import dataclass
from math import exp

from watchdog.detectors.training.kept import Kept
from watchdog.detectors.training.level import Level
from watchdog.detectors.training.words import TrainingFinding
from watchdog.vocabulary.findings import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds."""

    block_points: int = 16
    """A block's median stands for so many points (ours)."""
    level_blocks: int = 4
    """The level is the mean of so many block medians: its error is 0.16 of the noise."""
    rise_ratio: float = 0.015
    """Above the lowest level: less than the 2 % over the median of a plateau, since the level is a mean (ours)."""
    rise_z: float = 2.0
    """And so many times the noise of a point: the lowest of thousands of levels lies 0.7 below the true one, and the
    highest as much above it (extremes of a Gaussian at the error above)."""
    grave_ratio: float = 0.05
    """Above the lowest level: FAIL (ours)."""
    settled_blocks: int = 40
    """Without a new high for so long: a new level, and the event is over (ours)."""


class Divergence(Kept):
    """The detector. It is given what is in order, as logarithms."""

    KEPT = ("block", "levels", "spans", "best", "best_step", "start", "onset", "last", "high", "since_high",
            "is_grave")  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        """Nothing is known at the start."""
        self.limits = limits
        self.block: deque[float] = deque(maxlen=limits.block_points)
        self.levels: deque[float] = deque(maxlen=limits.level_blocks)
        self.spans: deque[int] = deque(maxlen=limits.level_blocks)
        self.best: float | None = None
        self.best_step = self.onset = self.last = self.since_high = 0
        self.start: int | None = None
        self.high = 0.0
        self.is_grave = False

    def accept(self, step: int, value: float, level: Level) -> list[TrainingFinding]:
        """A point in order, and the level that knows the noise of one."""
        if not self.block:
            self.spans.append(step)
        self.block.append(value)
        if len(self.block) < self.limits.block_points:
            return []
        ordered = sorted(self.block)
        half = len(ordered) // 2
        self.levels.append(0.5 * (ordered[half] + ordered[~half]))
        self.block.clear()
        return self._judge(step, level.noise) if len(self.levels) == self.limits.level_blocks else []

    def rebase(self) -> list[TrainingFinding]:
        """A declared change, or a new level after a spike: the lowest level is looked for anew."""
        over = self._over() if self.start is not None else []
        self.block.clear()
        self.levels.clear()
        self.spans.clear()
        self.best = None
        return over

    def finish(self) -> list[TrainingFinding]:
        """What lasts."""
        return [self._finding(None)] if self.start is not None else []

    def _judge(self, step: int, noise: float) -> list[TrainingFinding]:
        level = sum(self.levels) / len(self.levels)
        if self.best is None or level < self.best:
            self.best, self.best_step = level, step
        limit = max(self.limits.rise_ratio, self.limits.rise_z * noise)
        rise = level - self.best
        if self.start is None:
            if rise <= limit:
                return []
            self.start, self.onset, self.last = self.spans[-1], min(self.best_step, self.spans[-1]), step
            self.high, self.since_high, self.is_grave = level, 0, rise > self.limits.grave_ratio
            return [self._finding(None)]
        return self._go_on(step, level, rise, limit)

    def _go_on(self, step: int, level: float, rise: float, limit: float) -> list[TrainingFinding]:
        self.since_high += 1
        if level > self.high:
            self.high, self.since_high, self.last = level, 0, step
        if rise < 0.5 * limit or self.since_high >= self.limits.settled_blocks:
            over = self._over()
            self.best, self.best_step = level, step
            return over
        if rise > self.limits.grave_ratio and not self.is_grave:
            self.is_grave = True
            return [self._finding(None)]
        return []

    def _over(self) -> list[TrainingFinding]:
        over = self._finding(self.last)
        self.start = None
        return [over]

    def _finding(self, end: int | None) -> TrainingFinding:
        assert self.start is not None
        assert self.best is not None
        lowest, highest = exp(min(self.best, 700.0)), exp(min(self.high, 700.0))
        return TrainingFinding(
            kind="divergence",
            metric="loss",
            shape="ramp",
            start=self.start,
            end=end,
            onset=self.onset,
            last=self.last,
            severity=Severity.FAIL if self.is_grave else Severity.WARN,
            message=f"loss creeps up: {highest:.4g}, {highest / lowest - 1:.1%} above the {lowest:.4g} that it had by "
            f"step {self.best_step}",
            evidence={"lowest": lowest, "lowest_step": self.best_step, "highest": highest},
        )
