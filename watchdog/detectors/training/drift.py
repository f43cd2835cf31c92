"""Throughput that sinks by a few percent over thousands of steps: too little for any window to see.

Medians of blocks over the whole run since the last declared change; when there are too many, each two become one. A
straight line through them tells a cost that grows with the step number from a level that merely sank.
"""

from dataclasses import dataclass
from math import expm1, log1p, sqrt

from watchdog.detectors.training.kept import Kept
from watchdog.detectors.training.words import TrainingFinding
from watchdog.vocabulary.findings import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds."""

    block_points: int = 100
    """A block's median stands for so many steps (ours)."""
    most_blocks: int = 64
    """At more, neighbours are merged (ours)."""
    least_blocks: int = 8
    """So many are needed (ours)."""
    ratio: float = 0.02
    """Below the first blocks, or lost along the line: drifts of 2.5 to 5 % were real (playbook 8)."""
    line_t: float = 8.0
    """The slope over its standard error: a line and not a wave (ours)."""
    held_blocks: int = 3
    """The newest blocks, all below (ours)."""


class Drift(Kept):
    """The detector. It is given logarithms of throughput in order, outside of drops and shifts."""

    KEPT = ("block", "steps", "levels", "width", "waiting", "start", "last", "shape", "loss", "t")

    def __init__(self, limits: Limits) -> None:
        """Nothing is known at the start."""
        self.limits = limits
        self.block: list[float] = []
        self.steps: list[int] = []
        self.levels: list[float] = []
        self.width = 1
        self.waiting: list[float] = []
        self.start: int | None = None
        self.last = 0
        self.shape = ""
        self.loss = self.t = 0.0

    def accept(self, step: int, value: float) -> list[TrainingFinding]:
        """A step in order."""
        self.block.append(value)
        if len(self.block) < self.limits.block_points:
            return []
        self.waiting.append(sorted(self.block)[len(self.block) // 2])
        self.block.clear()
        if len(self.waiting) < self.width:
            return []
        self.steps.append(step)
        self.levels.append(sum(self.waiting) / len(self.waiting))
        self.waiting.clear()
        told = self._judge(step) if len(self.levels) >= self.limits.least_blocks else []
        if len(self.levels) >= self.limits.most_blocks:
            self._merge()
        return told

    def rebase(self) -> list[TrainingFinding]:
        """A declared change: what was before says nothing of what comes."""
        over = [self._finding(self.last)] if self.start is not None else []
        self.start, self.width = None, 1
        for kept in (self.block, self.steps, self.levels, self.waiting):
            kept.clear()
        return over

    def finish(self) -> list[TrainingFinding]:
        """What lasts."""
        return [self._finding(None)] if self.start is not None else []

    def _merge(self) -> None:
        pairs = range(0, len(self.levels) - 1, 2)
        self.levels = [0.5 * (self.levels[index] + self.levels[index + 1]) for index in pairs]
        self.steps = [self.steps[index + 1] for index in pairs]
        self.width *= 2

    def _judge(self, step: int) -> list[TrainingFinding]:
        limits = self.limits
        held = self.levels[-limits.held_blocks :]
        first = sorted(self.levels[: limits.held_blocks])[limits.held_blocks // 2]
        loss = _lost(max(held) - first)
        if self.start is not None:
            self.loss = max(self.loss, loss)
            if loss < 0.5 * limits.ratio:
                over = self._finding(self.last)
                self.start = None
                return [over]
            self.last = step
            return []
        along, t = line(self.steps, self.levels)
        if loss < limits.ratio:
            return []
        is_line = _lost(along) >= limits.ratio and t <= -limits.line_t
        self.shape, self.t, self.loss, self.last = "grows_with_step" if is_line else "sank", t, loss, step
        below = first + log1p(-0.5 * limits.ratio)
        self.start = next((at for at, level in zip(self.steps, self.levels, strict=True) if level < below), step)
        return [self._finding(None)]

    def _finding(self, end: int | None) -> TrainingFinding:
        assert self.start is not None
        how = ", in step with the step number" if self.shape == "grows_with_step" else ""
        return TrainingFinding(
            kind="drift",
            metric="tokens_per_second",
            shape=self.shape,
            start=self.start,
            end=end,
            onset=min(self.steps[0], self.start) if self.steps else self.start,
            last=self.last,
            severity=Severity.WARN,
            message=f"throughput sank by {self.loss:.1%} since the start{how}",
            evidence={"lost_ratio": self.loss, "t": max(-1e9, min(1e9, self.t))},
        )


def line(steps: list[int], levels: list[float]) -> tuple[float, float]:
    """Change along the straight line of least squares, from first to last step, and its slope over its standard error.
    (0, 0) where all steps are one."""
    count = len(steps)
    centre, middle = sum(steps) / count, sum(levels) / count
    square = sum((step - centre) * (step - centre) for step in steps)
    if not square:
        return 0.0, 0.0
    slope = sum((step - centre) * (level - middle) for step, level in zip(steps, levels, strict=True)) / square
    rests = [level - middle - slope * (step - centre) for step, level in zip(steps, levels, strict=True)]
    error = sqrt(sum(rest * rest for rest in rests) / max(count - 2, 1) / square)
    return slope * (steps[-1] - steps[0]), slope / error if error else 0.0


def _lost(change: float) -> float:
    """Share lost, of a change of the logarithm."""
    return -expm1(min(change, 700.0))
