"""A loss that gets noisier, or calmer, from step to step, around an unchanged level: the data's order changed.

The noise of a block of points is the robust deviation of their differences; blocks are compared with those before, and
with an older run's where there is one.
"""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp

from watchdog.detectors.training.kept import Kept
from watchdog.detectors.training.window import GAUSSIAN
from watchdog.detectors.training.words import TrainingFinding
from watchdog.vocabulary.findings import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds."""

    block_points: int = 128
    """A block's noise is known within 12 % (one standard error of a median absolute deviation)."""
    past_blocks: int = 12
    """Compared with the median of so many blocks before (ours)."""
    least_blocks: int = 6
    """So many are needed before anything is compared (ours)."""
    ratio: float = 1.45
    """Over the past, in `held_blocks` blocks after each other: the sequences that a loader left unshuffled made it
    1.6 (playbook 2.3), and 1.45 is more than three standard errors."""
    floor_ratio: float = 1e-4
    """Less noise than this is taken for so much: no loss is that calm (ours)."""
    held_blocks: int = 2
    """In a row (ours): one in 2,000 blocks of a Gaussian is as far off by itself."""


def block_noise(values: Sequence[float]) -> float:
    """Noise of one point, from the differences of neighbours: level and slow trends fall out. At least 3 values."""
    steps = [later - earlier for earlier, later in pairwise(values)]
    middle = sorted(steps)[len(steps) // 2]
    return GAUSSIAN / 2**0.5 * sorted(abs(step - middle) for step in steps)[len(steps) // 2]


class Noise(Kept):
    """The detector. It is given what is in order, as logarithms."""

    KEPT = ("block", "starts", "past", "past_levels", "odd", "odd_levels", "start", "last", "calm", "usual",
            "usual_level", "found", "odd_side", "is_against_reference")  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        """Nothing is known at the start."""
        self.limits = limits
        self.block: deque[float] = deque(maxlen=limits.block_points)
        self.starts: deque[int] = deque(maxlen=limits.held_blocks)
        self.past: deque[float] = deque(maxlen=limits.past_blocks)
        self.past_levels: deque[float] = deque(maxlen=limits.past_blocks)
        self.odd: deque[float] = deque(maxlen=limits.past_blocks)
        self.odd_levels: deque[float] = deque(maxlen=limits.past_blocks)
        self.start: int | None = None
        self.last = self.calm = 0
        self.usual = self.found = 0.0
        self.usual_level: float | None = None
        self.odd_side = 0
        self.is_against_reference = False

    def accept(self, step: int, value: float, reference_noise: float | None = None) -> list[TrainingFinding]:
        """A point in order; `reference_noise`: of one point of the older run at the same progress, in logarithms."""
        block = self.block
        if not block:
            self.starts.append(step)
        block.append(value)
        if len(block) < self.limits.block_points:
            return []
        noise, level = max(block_noise(tuple(block)), self.limits.floor_ratio), _median(block)
        block.clear()
        return self._judge(step, noise, level, reference_noise)

    def rebase(self) -> list[TrainingFinding]:
        """A declared change: noise may be another from here on."""
        over = self._over() if self.start is not None else []
        self.block.clear()
        self.starts.clear()
        for kept in (self.past, self.past_levels, self.odd, self.odd_levels):
            kept.clear()
        return over

    def finish(self) -> list[TrainingFinding]:
        """What lasts."""
        return [self._finding(None)] if self.start is not None else []

    def _judge(self, step: int, noise: float, level: float, reference: float | None) -> list[TrainingFinding]:
        if self.start is None:
            self.usual, self.usual_level = self._usual(reference)
            self.is_against_reference = reference is not None
        if not self.usual:
            self._keep(noise, level)
            return []
        side = self._side(noise, level)
        if self.start is not None:
            return self._go_on(step, noise, level, is_odd=side != 0)
        if not side or (self.odd and side != self.odd_side):
            for kept, one in zip(self.odd, self.odd_levels, strict=True):
                self._keep(kept, one)
            self._forget_odd()
        if not side:
            self._keep(noise, level)
            return []
        self.odd_side = side
        self.odd.append(noise)
        self.odd_levels.append(level)
        if len(self.odd) < self.limits.held_blocks:
            return []
        self.start, self.last, self.calm = self.starts[0], step, 0
        self.found = sum(self.odd) / len(self.odd)
        return [self._finding(None)]

    def _usual(self, reference: float | None) -> tuple[float, float | None]:
        """Noise to compare with, and the level that it was at where that is another; 0 for none yet."""
        if reference is not None:
            return max(reference, self.limits.floor_ratio), None
        if len(self.past) < self.limits.least_blocks:
            return 0.0, None
        return _median(self.past), _median(self.past_levels)

    def _side(self, noise: float, level: float) -> int:
        """1 for noisier, -1 for calmer, 0 for neither: relative to the level, and in absolute terms as well. While a
        loss falls fast, one of the two changes by itself."""
        ratio = noise / self.usual
        absolute = ratio if self.usual_level is None else ratio * exp(max(-50.0, min(50.0, level - self.usual_level)))
        low, high = min(ratio, absolute), max(ratio, absolute)
        return 1 if low > self.limits.ratio else -1 if high < 1 / self.limits.ratio else 0

    def _keep(self, noise: float, level: float) -> None:
        self.past.append(noise)
        self.past_levels.append(level)

    def _forget_odd(self) -> None:
        self.odd.clear()
        self.odd_levels.clear()

    def _go_on(self, step: int, noise: float, level: float, *, is_odd: bool) -> list[TrainingFinding]:
        if not is_odd:
            self.calm += 1
            return self._over() if self.calm >= self.limits.held_blocks else []
        self.calm, self.last = 0, step
        self.odd.append(noise)
        self.odd_levels.append(level)
        if len(self.odd) < self.limits.past_blocks or self.is_against_reference:
            return []
        # It lasted for as long as what it is compared with: from here on it is the usual.
        for kept, one in zip(self.odd, self.odd_levels, strict=True):
            self._keep(kept, one)
        return self._over()

    def _over(self) -> list[TrainingFinding]:
        over = self._finding(self.last)
        self.start = None
        self._forget_odd()
        return [over]

    def _finding(self, end: int | None) -> TrainingFinding:
        assert self.start is not None
        ratio = self.found / self.usual
        than = "the reference run" if self.is_against_reference else "before"
        shape = "noisier" if ratio > 1 else "calmer"
        return TrainingFinding(
            kind="noise",
            metric="loss",
            shape=shape,
            start=self.start,
            end=end,
            onset=self.start,
            last=self.last,
            severity=Severity.WARN,
            message=f"loss is {shape} than {than}: {self.found:.2%} of its level from step to step, {ratio:.2f} times "
            f"the usual {self.usual:.2%}",
            evidence={"noise_ratio": self.found, "usual_ratio": self.usual, "ratio": ratio},
        )


def _median(values: Collection[float]) -> float:
    return sorted(values)[len(values) // 2]
