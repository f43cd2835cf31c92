"""Throughput of one series: drops, shifts and drifts over the same steps, less the planned slow ones."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import inf, log

from watchdog.detectors.training.drift import Drift
from watchdog.detectors.training.drift import Limits as DriftLimits
from watchdog.detectors.training.drop import Drop
from watchdog.detectors.training.drop import Limits as DropLimits
from watchdog.detectors.training.kept import Kept
from watchdog.detectors.training.phases import Phases
from watchdog.detectors.training.shift import Limits as ShiftLimits
from watchdog.detectors.training.shift import Shift
from watchdog.detectors.training.words import Mark, MarkKind, Point, TrainingFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds."""

    drop: DropLimits = field(default_factory=DropLimits)
    shift: ShiftLimits = field(default_factory=ShiftLimits)
    drift: DriftLimits = field(default_factory=DriftLimits)
    restart_points: int = 2
    """Not judged after a restart: the first step is 4 to 10 times slow (playbook 3.4), and the next may be."""
    num_masks: int = 64
    """Planned slow spans that are remembered (ours: the newest)."""


REBASING = (MarkKind.STAGE, MarkKind.LAYOUT)
MASKING = (MarkKind.CHECKPOINT, MarkKind.EVAL, MarkKind.PAUSE)


class Throughput(Kept):
    """The detectors of throughput."""

    KEPT = ("drop", "shift", "drift", "phases", "masks", "left_out", "newest_step")

    def __init__(self, limits: Limits) -> None:
        """Nothing is known at the start."""
        self.limits = limits
        self.drop, self.shift, self.drift = Drop(limits.drop), Shift(limits.shift), Drift(limits.drift)
        self.phases = Phases()
        self.masks: deque[tuple[int, int]] = deque(maxlen=limits.num_masks)
        self.left_out = 0
        self.newest_step: int | None = None

    def mark(self, mark: Mark) -> list[TrainingFinding]:
        """Leave steps out, or look for a new level."""
        if mark.kind in MASKING:
            self.masks.append((mark.start, mark.last))
        if mark.kind is MarkKind.RESTART or mark.kind in REBASING:
            self.left_out = self.limits.restart_points
        if mark.kind not in REBASING:
            return []
        return [*self.drop.rebase(), *self.shift.rebase(), *self.drift.rebase()]

    def observe(self, point: Point) -> Iterable[TrainingFinding]:
        """What opened, changed or ended with this step."""
        step, value = point.step, _pace(point)
        if self.newest_step is not None and step <= self.newest_step:
            # Trained again: a new process, whether it was declared or not.
            self.left_out = max(self.left_out, self.limits.restart_points)
        self.newest_step = step
        if value is None:
            return ()
        if self.left_out:
            self.left_out -= 1
            return ()
        if self.masks and any(first <= step <= last for first, last in self.masks):
            return ()
        return self._judge(point, value)

    def finish(self) -> list[TrainingFinding]:
        """What lasts."""
        return [*map(self._named, self.drop.finish()), *self.shift.finish(), *self.drift.finish()]

    def _judge(self, point: Point, value: float) -> list[TrainingFinding]:
        step = point.step
        is_drop, told = self.drop.observe(step, value)
        was = self.shift.start
        shifts = self.shift.observe(step, value, is_drop=is_drop)
        if point.times:
            told = [self._named(found) for found in told]
            is_calm = not is_drop and self.shift.start is None and not self.shift.low_checks
            self.phases.observe(step, point.times, is_in_order=is_calm)
        if was != self.shift.start:
            shifts = self._changed(shifts, step)
        if not is_drop and self.shift.start is None:
            shifts = [*shifts, *self.drift.accept(step, value)]
        return [*told, *shifts]

    def _changed(self, shifts: list[TrainingFinding], step: int) -> list[TrainingFinding]:
        """A shift began or ended: drops are judged against the level of today."""
        if self.shift.start is None:
            return [*shifts, *self.drop.rebase(tuple(self.shift.level.values))]
        self.shift.phase = self.phases.longer(self.shift.start, step)
        return [*self.drop.rebase(self.shift.recent_values), *self.shift.finish()]

    def _named(self, found: TrainingFinding) -> TrainingFinding:
        name = self.phases.longer(found.start, found.last)
        if not name:
            return found
        return replace(found, message=f"{found.message}; {name} got longer", evidence={**found.evidence, "phase": name})


def _pace(point: Point) -> float | None:
    """Logarithm of tokens a second; without those, of steps a second."""
    rate, seconds = point.tokens_per_second, point.seconds
    if rate is not None:
        return log(rate) if 0.0 < rate < inf else None
    return -log(seconds) if seconds is not None and 0.0 < seconds < inf else None
