"""Numbers that are none: NaN, infinities, a loss of exactly 0, and a loss scale that collapses.

One event lasts until so many steps in order came after it. Nothing of it enters any other detector's window.
"""

from collections import deque
from dataclasses import dataclass
from math import inf, isfinite

from watchdog.detectors.training.kept import Kept
from watchdog.detectors.training.words import Point, TrainingFinding
from watchdog.vocabulary.findings import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds."""

    recovered_points: int = 10
    """In order after the last bad one: the event is over (ours; as the window of the rule below)."""
    persistent_points: int = 3
    """So many bad ones within one event are no accident: FAIL (a rollback is due at 3 of 10)."""
    scale_fall_ratio: float = 1 / 16
    """Loss scale over the highest of `scale_points`: four halvings without a return. tr8's went from 1,048,576 to
    32,768 in 6 iterations, GLM-130B's collapsed 30 steps before its loss did; a scaler that probes halves once."""
    scale_points: int = 20
    """Over so many (ours)."""


class Nonfinite(Kept):
    """The detector."""

    KEPT = ("start", "last", "bad", "quiet", "metric", "shape", "scales", "is_fallen")

    def __init__(self, limits: Limits) -> None:
        """Nothing is known at the start."""
        self.limits = limits
        self.start: int | None = None
        self.last = self.bad = self.quiet = 0
        self.metric = self.shape = ""
        self.scales: deque[float] = deque(maxlen=limits.scale_points)
        self.is_fallen = False

    def observe(self, point: Point) -> list[TrainingFinding]:
        """What opened, got graver or ended with this point."""
        metric, shape = self._wrong(point)
        if not metric:
            return self._in_order(point) if self.start is not None else []
        is_new = self.start is None
        if is_new:
            self.start, self.bad = point.step, 0
            self.metric, self.shape = metric, shape
        self.bad, self.quiet, self.last = self.bad + 1, 0, point.step
        return [self._finding(None)] if is_new or self.bad in (2, self.limits.persistent_points) else []

    def finish(self) -> list[TrainingFinding]:
        """What lasts."""
        return [self._finding(None)] if self.start is not None else []

    def _in_order(self, point: Point) -> list[TrainingFinding]:
        if point.loss is None and point.grad_norm is None and point.loss_scale is None:
            return []
        self.quiet += 1
        if self.quiet < self.limits.recovered_points:
            return []
        over = self._finding(self.last)
        self.start = None
        return [over]

    def _wrong(self, point: Point) -> tuple[str, str]:
        loss, norm = point.loss, point.grad_norm
        if loss is not None and not -inf < loss < inf:
            return "loss", "not_a_number"
        if loss == 0.0:
            return "loss", "zero"
        # A gradient scaler finds its scale by overflowing now and then: such a step is skipped, and in order.
        if norm is not None and not -inf < norm < inf and not (point.is_skipped and point.loss_scale is not None):
            return "grad_norm", "not_a_number"
        if point.update_norm is not None and not isfinite(point.update_norm):
            return "update_norm", "not_a_number"
        return self._scale(point.loss_scale) if point.loss_scale is not None else ("", "")

    def _scale(self, scale: float) -> tuple[str, str]:
        if not isfinite(scale) or scale <= 0:
            return "loss_scale", "not_a_number"
        self.scales.append(scale)
        self.is_fallen = scale <= self.limits.scale_fall_ratio * max(self.scales)
        return ("loss_scale", "collapse") if self.is_fallen else ("", "")

    def _finding(self, end: int | None) -> TrainingFinding:
        assert self.start is not None
        many = self.bad >= self.limits.persistent_points
        shape = self.shape
        if shape == "not_a_number":
            shape = "persistent" if many else "one_step" if self.bad == 1 else "repeated"
        what = {
            "zero": "is exactly 0, which no model reaches: a filter or a mask hides what it was",
            "collapse": f"fell below {self.limits.scale_fall_ratio:g} of what it was {len(self.scales)} steps before",
        }.get(self.shape, "is not finite")
        return TrainingFinding(
            kind="nonfinite",
            metric=self.metric,
            shape=shape,
            start=self.start,
            end=end,
            onset=self.start,
            last=self.last,
            severity=Severity.WARN if self.shape == "collapse" else Severity.FAIL,
            message=f"{self.metric} {what}, from step {self.start}: {self.bad} logged step{'s' * (self.bad > 1)}",
            evidence={"num_points": self.bad, "loss_scale": self.scales[-1] if self.scales else None},
        )
