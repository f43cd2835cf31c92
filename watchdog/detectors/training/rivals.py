"""Published rules, as their sources state them, to be run beside ours on the same points. None of it guards anything.

Each judges one point at a time: True where its system would have skipped, clipped, logged or raised. Weaknesses are
kept: what the source appends to its window is appended here, and what a NaN poisons there it poisons here.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from types import MappingProxyType
from typing import Protocol

from watchdog.detectors.training.window import RobustWindow
from watchdog.detectors.training.words import Point


class Rule(Protocol):
    """A published rule with its memory."""

    def is_alarm(self, point: Point) -> bool:
        """Whether it would act on this step."""


class SixSigma:
    """OLMo-core's SkipStepOptimizer (Levanter and MaxText alike): loss or norm over mean + 6 deviations of the last
    128, active from 64 on. The outlier itself is appended; a NaN makes every comparison false, which skips."""

    def __init__(self) -> None:
        """Empty windows."""
        self.losses, self.norms = _Moments(128), _Moments(128)

    def is_alarm(self, point: Point) -> bool:
        """Skipped."""
        pairs = ((self.losses, point.loss), (self.norms, point.grad_norm))
        hits = [window.count >= 64 and not window.holds(value, 6.0) for window, value in pairs if value is not None]
        for window, value in pairs:
            if value is not None:
                window.add(value)
        return any(hits)


class TenTimesMax:
    """Megatron's --check-for-spiky-loss and its large-gradient check: 10 times the highest of the first 100."""

    def __init__(self) -> None:
        """Nothing seen."""
        self.most: dict[str, tuple[int, float]] = {}

    def is_alarm(self, point: Point) -> bool:
        """Logged; NaN is another check's affair."""
        return any([self._one("loss", point.loss), self._one("grad_norm", point.grad_norm)])

    def _one(self, name: str, value: float | None) -> bool:
        if value is None or not isfinite(value):
            return False
        count, most = self.most.get(name, (0, 0.0))
        if count < 100:
            self.most[name] = (count + 1, max(most, value))
            return False
        return value >= 10 * most


class TwiceMean:
    """llm-foundry's KillLossSpike: at least twice the mean of the last 100, on more than 4 steps after each other.
    (Its second rule, a cap on the window, needs the number of planned steps.)"""

    def __init__(self) -> None:
        """An empty window."""
        self.window = _Moments(100)
        self.row = 0

    def is_alarm(self, point: Point) -> bool:
        """Raised or logged."""
        if point.loss is None:
            return False
        is_high = self.window.count >= 100 and point.loss >= 2 * self.window.mean
        self.row = self.row + 1 if is_high else 0
        self.window.add(point.loss)
        return self.row > 4


class FifthAboveLast:
    """FlagScale's auto_skip_spiky_loss: 20 % above the last good loss. That is kept while it skips: it latches. A NaN
    compares false, is good, and becomes the last."""

    def __init__(self) -> None:
        """No loss seen."""
        self.last: float | None = None

    def is_alarm(self, point: Point) -> bool:
        """Skipped."""
        if point.loss is None:
            return False
        if self.last is not None and self.last != 0 and (point.loss - self.last) / self.last >= 0.2:
            return True
        self.last = point.loss
        return False


class ZClip:
    """ZClip: norm over its moving mean by 2.5 deviations (EMA 0.97, 25 steps of warm-up). The clipped norm is fed back.
    Where no norm was logged it is given the loss, for which it was not made."""

    def __init__(self) -> None:
        """Warming up."""
        self.first: list[float] = []
        self.mean = self.variance = 0.0

    def is_alarm(self, point: Point) -> bool:
        """Clipped."""
        value = point.grad_norm if point.grad_norm is not None else point.loss
        if value is None:
            return False
        if len(self.first) < 25:
            self.first.append(value)
            if len(self.first) == 25:
                self.mean = sum(self.first) / 25
                self.variance = sum((each - self.mean) * (each - self.mean) for each in self.first) / 25
            return False
        deviation = sqrt(self.variance) if self.variance > 0 else 1e-6
        z = (value - self.mean) / deviation
        fed = self.mean + 2.5 * deviation / (z / 2.5) if z > 2.5 else value
        self.mean = 0.97 * self.mean + 0.03 * fed
        self.variance = 0.97 * self.variance + 0.03 * (fed - self.mean) * (fed - self.mean)
        return z > 2.5


class NotANumber:
    """Composer's NaNMonitor, Megatron's fatal check, MaxText's abort_on_nan_loss: a loss or norm that is not finite."""

    def is_alarm(self, point: Point) -> bool:
        """Raised."""
        return any(value is not None and not isfinite(value) for value in (point.loss, point.grad_norm))


class SlowStep:
    """ml-goodput's ideal step: a normal one takes at most median + 3 median absolute deviations (here: of 256)."""

    def __init__(self) -> None:
        """An empty window."""
        self.window = RobustWindow(256)

    def is_alarm(self, point: Point) -> bool:
        """Not a normal step."""
        rate, seconds = point.tokens_per_second, point.seconds
        took = 1 / rate if rate is not None and rate > 0 else seconds
        if took is None or not isfinite(took):
            return False
        limit = self.window.median + 3 * self.window.spread / 1.4826
        is_slow = len(self.window) >= 20 and took > limit
        self.window.add(took)
        return is_slow


class _Moments:
    """Mean and deviation of the newest `size` values, NaN included as it would be there."""

    def __init__(self, size: int) -> None:
        self.values: deque[float] = deque(maxlen=size)
        self.total = self.squares = 0.0
        self.num_odd = 0

    @property
    def count(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return float("nan") if self.num_odd else self.total / len(self.values)

    def holds(self, value: float, times: float) -> bool:
        """Whether value - mean <= times x deviation; False where a NaN takes part."""
        if self.num_odd or not isfinite(value):
            return False
        count = len(self.values)
        variance = max(self.squares - self.total**2 / count, 0.0) / max(count - 1, 1)
        return value - self.mean <= times * sqrt(variance)

    def add(self, value: float) -> None:
        values = self.values
        if len(values) == values.maxlen:
            self._count(values[0], -1)
        values.append(value)
        self._count(value, 1)

    def _count(self, value: float, sign: int) -> None:
        if not isfinite(value) or abs(value) > 1e150:
            self.num_odd += sign
            return
        self.total += sign * value
        self.squares += sign * value * value


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A published rule, and where it stands."""

    source: str
    rule: Callable[[], Rule]
    is_of_loss: bool = True
    """Else of throughput."""


RIVALS: Mapping[str, Rival] = MappingProxyType(
    {
        "olmo-6-sigma": Rival(source="OLMo-core, SkipStepOptimizer", rule=SixSigma),
        "megatron-10-max": Rival(source="Megatron-LM core_v0.16.1, rerun_state_machine", rule=TenTimesMax),
        "llm-foundry-2-mean": Rival(source="llm-foundry, KillLossSpike", rule=TwiceMean),
        "flagscale-20-percent": Rival(source="FlagScale, auto_skip_spiky_loss", rule=FifthAboveLast),
        "zclip-2.5": Rival(source="ZClip, z of 2.5", rule=ZClip),
        "not-a-number": Rival(source="Composer NaNMonitor, Megatron, MaxText", rule=NotANumber),
        "goodput-3-mad": Rival(source="ml-goodput-measurement, ideal step time", rule=SlowStep, is_of_loss=False),
    }
)
"""By the name that is typed."""
