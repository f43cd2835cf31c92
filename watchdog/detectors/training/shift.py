"""Throughput that settles on a lower level: when it fell, how far, which phase got longer, and when it came back.

The level is the median of many steps; the newest few are compared with it now and then. The step of the change is
looked for afterwards, where the sum of the distances to the middle of both levels turns.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from watchdog.detectors.training.kept import Kept
from watchdog.detectors.training.window import RobustWindow
from watchdog.detectors.training.words import TrainingFinding
from watchdog.vocabulary.findings import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds."""

    level_points: int = 256
    """The level is the median of so many ("200 normal steps and more")."""
    least_points: int = 100
    """So many are needed before any is compared (ours)."""
    recent_points: int = 20
    """The newest, by their median."""
    every_points: int = 5
    """Compared once in so many points (ours)."""
    ratio: float = 0.95
    """Of the level, below which it counts: 5 %, as one slow GPU cost BLOOM."""
    fail_ratio: float = 0.90
    """Of the level: FAIL (Greyhound confirms a change of the mean from 10 %)."""
    checks: int = 3
    """So many comparisons after each other."""
    standard_errors: float = 5.0
    """And so many standard errors of the median of the newest below it: a restless run is no slow one (ours)."""
    adopted_points: int = 5000
    """So long, and the lower level is the level: the shift is over, as one that came to stay (ours)."""
    searched_points: int = 128
    """How far back the step of a change is looked for (ours)."""


class Shift(Kept):
    """The detector. It is given logarithms of throughput, those of drops as well."""

    KEPT = (
        "level",
        "newest",
        "count",
        "low_checks",
        "start",
        "last",
        "low",
        "low_count",
        "lowest",
        "is_grave",
        "phase",
    )

    def __init__(self, limits: Limits) -> None:
        """Nothing is known at the start."""
        self.limits = limits
        self.level = RobustWindow(limits.level_points)
        self.newest: deque[tuple[int, float]] = deque(maxlen=limits.searched_points)
        self.count = self.low_checks = self.last = self.low_count = 0
        self.start: int | None = None
        self.low = self.lowest = 0.0
        self.is_grave = False
        self.phase = ""

    def observe(self, step: int, value: float, *, is_drop: bool) -> list[TrainingFinding]:
        """What opened, got graver or ended with this step."""
        self.newest.append((step, value))
        if self.start is None and not is_drop:
            self.level.add(value)
        self.count += 1
        if self.count % self.limits.every_points or len(self.level) < self.limits.least_points:
            return []
        recent = [value for _, value in list(self.newest)[-self.limits.recent_points :]]
        middle = sorted(recent)[len(recent) // 2]
        return self._watch(step, middle) if self.start is None else self._go_on(step, middle)

    def rebase(self) -> list[TrainingFinding]:
        """A declared change: another level is learned."""
        over = [self._finding(self.last)] if self.start is not None else []
        self.start, self.low_checks = None, 0
        self.newest.clear()
        self.level.refill(())
        return over

    def finish(self) -> list[TrainingFinding]:
        """What lasts."""
        return [self._finding(None)] if self.start is not None else []

    @property
    def recent_values(self) -> tuple[float, ...]:
        """From the start of the shift on, or as far back as they are kept."""
        return tuple(value for step, value in self.newest if self.start is None or step >= self.start)

    def _watch(self, step: int, middle: float) -> list[TrainingFinding]:
        limits, level = self.limits, self.level
        # 1.25: a median's standard error over a mean's.
        error = 1.25 * level.spread / limits.recent_points**0.5
        if middle - level.median > min(log(limits.ratio), -limits.standard_errors * error):
            self.low_checks = 0
            return []
        self.low_checks += 1
        if self.low_checks < limits.checks:
            return []
        self.start = change_step(self.newest, level.median, middle)
        self.low = self.lowest = middle
        self.last, self.low_checks, self.low_count = step, 0, 1
        self.is_grave = middle - level.median < log(limits.fail_ratio)
        return [self._finding(None)]

    def _go_on(self, step: int, middle: float) -> list[TrainingFinding]:
        self.last = step
        level = self.level.median
        if middle - level >= log(self.limits.ratio):
            end = change_step(self.newest, self.low, middle)
            self.last = max((each for each, _ in self.newest if each < end), default=end)
            over = self._finding(self.last)
            self.start = None
            return [over]
        self.low_count += 1
        if self.low_count * self.limits.every_points >= self.limits.adopted_points:
            over = self._finding(step, shape="stayed")
            self.start = None
            self.level.refill(value for _, value in self.newest)
            return [over]
        self.low += (middle - self.low) / self.low_count
        self.lowest = min(self.lowest, middle)
        if not self.is_grave and middle - level < log(self.limits.fail_ratio):
            self.is_grave = True
            return [self._finding(None)]
        return []

    def _finding(self, end: int | None, shape: str = "lower") -> TrainingFinding:
        assert self.start is not None
        level = self.level.median
        ratio = exp(self.low - level)
        by = f"; {self.phase} got longer" if self.phase else ""
        back = "" if end is None else " and stayed there" if shape == "stayed" else f" and came back after step {end}"
        return TrainingFinding(
            kind="shift",
            metric="tokens_per_second",
            shape=shape,
            start=self.start,
            end=end,
            onset=self.start,
            last=self.last,
            severity=Severity.FAIL if self.is_grave else Severity.WARN,
            message=f"throughput fell to {ratio:.2f} of its level at step {self.start}{back}{by}",
            evidence={"ratio": ratio, "lowest_ratio": exp(self.lowest - level), "phase": self.phase},
        )


def change_step(newest: Sequence[tuple[int, float]], before: float, after: float) -> int:
    """First step of the level `after`: the sum of distances to the middle, each clipped to half of the change, turns
    there. A deep drop counts no more than any step of the lower level."""
    middle, half = 0.5 * (before + after), 0.5 * abs(after - before)
    sign = 1.0 if after < before else -1.0
    total = best = 0.0
    found = newest[0][0]
    for index, (_, value) in enumerate(newest):
        total += max(-half, min(half, sign * (value - middle)))
        if total >= best and index + 1 < len(newest):
            best, found = total, newest[index + 1][0]
    return found
