"""A loss or gradient norm that jumps: when it began, how far it went, and whether it came back.

    in order ──z high──▶ open ──in order again──▶ over: one_step, plateau
                          └──`breaker_points` long──▶ not_recovering: the new level is taken as the level, so that
                             nothing latches; the event lasts until the loss stays calm at its level, old or new.
                             While it goes on rising it is a divergence, and the same event

What is out of order never enters the windows. A gradient norm that rises first gives the onset.
"""

from collections import deque
from dataclasses import dataclass
from math import exp, expm1, inf, log
from statistics import median

from watchdog.detectors.training.kept import Kept
from watchdog.detectors.training.level import Level
from watchdog.detectors.training.words import Point, TrainingFinding
from watchdog.vocabulary.findings import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds."""

    loss_z: float = 5.5
    """Robust deviations above the level that make a spike by themselves. 6 is OLMo-core's, Levanter's and MaxText's,
    of a deviation that their own outliers widen; ours is not widened, and 5.5 of it leaves a Gaussian in peace."""
    norm_z: float = 8.0
    """Of a norm's logarithm, by itself (a robust z of 8 in the recovery table)..."""
    norm_ratio: float = 2.0
    """...and so many times its level: norms have long tails (ours)."""
    both_z: float = 4.0
    """Of loss and of a norm at the same step: rarer together than either alone (ours)."""
    calm_z: float = 3.0
    """Below it an open event counts as back (ours)."""
    calm_points: int = 3
    """So many after each other end an event: two spikes with less between them are one."""
    onset_z: float = 4.0
    """A norm so high in the steps just before belongs to the spike: BLOOM's rose four steps ahead."""
    onset_points: int = 8
    """How far back (ours: twice BLOOM's lead)."""
    grave_points: int = 20
    """So long above the level is FAIL ("plateau: over the median for 20 steps and more")."""
    breaker_points: int = 50
    """So long is a new level: the breaker. Half of the 100 steps without return after which a rollback is due."""
    rising_ratio: float = 0.015
    """Still rising by so much, within the breaker's or the settling points, it is a divergence (as `divergence`)..."""
    rising_z: float = 2.0
    """...and by so many times the noise of a point."""
    settled_points: int = 100
    """Calm at the level for so long after the breaker: over (the same 100 steps)."""
    floor_ratio: float = 0.0025
    """Least noise of a loss: half of the 0.5 % of the consensus, since large batches are calmer than that."""
    prior_ratio: float = 0.08
    """Noise of a loss assumed at the start: x 1.44 is a spike on the third step, as in BLOOM's excerpt (ours)."""
    norm_floor_ratio: float = 0.02
    """Least noise of a norm (ours)."""
    norm_prior_ratio: float = 0.25
    """Noise of a norm assumed at the start: x 7 (ours; norms fall steeply in warm-up)."""
    warm_points: int = 24
    """Points until the noise is known well enough to stand alone (ours)."""


class Channel(Kept):
    """One number of a step against its own level. `z` and `value` are those of the newest point."""

    KEPT = ("level", "held", "before", "peak")

    def __init__(self, level: Level, num_held: int, *, is_ratio: bool) -> None:
        """`is_ratio`: z is of the logarithm, as fits a norm; else of the number itself over its level."""
        self.level = level
        self.held: deque[float] = deque(maxlen=num_held)
        self.is_ratio = is_ratio
        self.value: float | None = None
        self.excess = self.z = 0.0
        self.before = self.peak = 0.0
        """Level when the event opened, and the highest since, as logarithms."""

    def look(self, raw: float | None) -> None:
        """Measure a new one. Below the level z is 0; what is absent, not positive or not finite takes no part."""
        self.excess = self.z = 0.0
        if raw is None or not 0.0 < raw < inf:
            self.value = None
            return
        self.value = log(raw)
        if self.level.count and (excess := self.level.excess(self.value)) > 0:
            self.excess = excess
            self.z = (excess if self.is_ratio else expm1(min(excess, 50.0))) / self.level.noise

    def accept(self) -> None:
        """It was in order."""
        if self.value is not None:
            self.level.accept(self.value)

    def begin(self) -> None:
        """An event opens: remember where the level was."""
        self.before = self.peak = self.level.base.median

    def hold(self) -> None:
        """It was not in order: keep it for the breaker alone."""
        if self.value is not None:
            self.held.append(self.value)
            self.peak = max(self.peak, self.value)

    def figures(self, name: str) -> dict[str, float]:
        """Level before and peak since, as they were logged; nothing where it never was."""
        if not self.level.count:
            return {}
        return {f"{name}_before": exp(min(self.before, 700.0)), f"{name}_peak": exp(min(self.peak, 700.0))}


class Spike(Kept):
    """The detector, of loss and norms together."""

    KEPT = ("loss", "norm", "update", "start", "onset", "last", "high", "total", "calm", "back", "peak_z", "metric",
            "shape", "is_grave", "is_settling", "is_rising",
            "settling_from", "leads", "withheld")  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        """Nothing is known at the start."""
        self.limits = limits
        warm, held = limits.warm_points, limits.breaker_points
        norm = (limits.norm_floor_ratio, limits.norm_prior_ratio, warm)
        self.loss = Channel(Level(limits.floor_ratio, limits.prior_ratio, warm), held, is_ratio=False)
        self.norm = Channel(Level(*norm), held, is_ratio=True)
        self.update = Channel(Level(*norm), held, is_ratio=True)
        self.start: int | None = None
        self.onset = self.last = self.high = self.total = self.calm = self.back = 0
        self.peak_z = 0.0
        self.metric = self.shape = ""
        self.is_grave = self.is_settling = self.is_rising = False
        self.settling_from = 0.0
        self.leads: deque[tuple[int, float]] = deque(maxlen=limits.onset_points)
        self.withheld = 0
        self.is_out = False
        """The newest point was out of order, and is no part of the level. Never for more than `breaker_points` in a
        row, but in a rise that goes on."""

    @property
    def is_lasting(self) -> bool:
        """It did not come back by itself, and is not over."""
        return self.start is not None and (self.is_settling or self.high >= self.limits.grave_points)

    def observe(self, point: Point, *, is_learning: bool = True) -> list[TrainingFinding]:
        """What opened, changed or ended with this point. `is_learning` False: judged, but no part of the level."""
        loss, norm, update = self.loss, self.norm, self.update
        loss.look(point.loss)
        if point.grad_norm is None and point.update_norm is None:
            norm.z = update.z = 0.0
            norm.value = update.value = None
            if loss.value is None:
                self.is_out = False
                return []
        else:
            norm.look(point.grad_norm)
            if point.update_norm is not None or update.value is not None:
                update.look(point.update_norm)
        metric = self._metric()
        told: list[TrainingFinding] = []
        if self.start is None:
            self.is_out = bool(metric)
            if metric:
                told = self._open(point.step, metric)
        else:
            self.is_out = bool(metric) if self.is_settling else self._is_high()
            told = self._go_on(point.step)
        if norm.value is not None or update.value is not None:
            self.leads.append((point.step, max(norm.z, update.z)))
        if not self.is_out and is_learning:
            loss.accept()
            self._accept_norms()
        return told

    def _accept_norms(self) -> None:
        """Norms that may lead a spike are kept out of their level, until there are too many for a lead."""
        if max(self.norm.z, self.update.z) > self.limits.onset_z:
            self.withheld += 1
        else:
            self.withheld = 0
        if not 0 < self.withheld <= self.limits.onset_points:
            self.norm.accept()
            self.update.accept()

    def rebase(self) -> list[TrainingFinding]:
        """A declared change: all levels are learned anew, and what was open is over."""
        over = self._over() if self.start is not None else []
        for channel in (self.loss, self.norm, self.update):
            channel.level.rebase()
        self.leads.clear()
        return over

    def finish(self) -> list[TrainingFinding]:
        """What lasts; an event that was back already is over."""
        if self.start is None:
            return []
        return self._over() if self.calm and not self.is_settling else [self._finding(None)]

    def _metric(self) -> str:
        """Which number opens an event by itself or together with another; mostly none."""
        limits, loss_z = self.limits, self.loss.z
        norm_z = max(self.norm.z, self.update.z)
        if loss_z > limits.loss_z or (loss_z > limits.both_z and norm_z > limits.both_z):
            return "loss"
        if norm_z > limits.norm_z:
            for name, channel in (("grad_norm", self.norm), ("update_norm", self.update)):
                if channel.z > limits.norm_z and channel.excess > log(limits.norm_ratio):
                    return name
        return ""

    def _is_high(self) -> bool:
        return self.loss.z > self.limits.calm_z or max(self.norm.z, self.update.z) > self.limits.onset_z

    def _open(self, step: int, metric: str) -> list[TrainingFinding]:
        self.start = self.onset = step
        for lead, z in reversed(self.leads):
            if z <= self.limits.onset_z:
                break
            self.onset = min(self.onset, lead)
        self.metric, self.shape = metric, "one_step"
        self.high = self.total = self.calm = self.back = 0
        self.peak_z, self.is_grave, self.is_settling, self.is_rising = 0.0, False, False, False
        for channel in (self.loss, self.norm, self.update):
            channel.begin()
        self._extend(step)
        return [self._finding(None)]

    def _extend(self, step: int) -> None:
        self.high, self.total, self.calm, self.last = self.high + 1, self.total + 1, 0, step
        for channel in (self.loss, self.norm, self.update):
            channel.hold()
        if self.loss.z > self.limits.loss_z:
            self.metric = "loss"
        self.peak_z = max(self.peak_z, self.loss.z, self.norm.z, self.update.z)

    def _go_on(self, step: int) -> list[TrainingFinding]:
        if self.is_out:
            self._extend(step)
            return self._lasting()
        self.calm += 1
        if not self.is_settling:
            return self._over() if self.calm >= self.limits.calm_points else []
        near = self.loss.before + self.limits.calm_z * self.loss.level.noise
        self.back = self.back + 1 if self.loss.value is not None and self.loss.value < near else 0
        if self.back >= self.limits.grave_points:
            self.shape = "plateau"
            return self._over()
        return self._settle(step) if self.calm >= self.limits.settled_points else []

    def _settle(self, step: int) -> list[TrainingFinding]:
        """Calm at its level for long: over, unless that level itself went up."""
        level = self.loss.level.base.median
        rise, self.settling_from = level - self.settling_from, level
        if not self._is_rise(rise):
            return self._over()
        self.calm, self.last, self.loss.peak = 0, step, max(self.loss.peak, level)
        was, self.is_rising = self.is_rising, True
        return [] if was else [self._finding(None)]

    def _is_rise(self, rise: float) -> bool:
        return rise > max(log(1 + self.limits.rising_ratio), self.limits.rising_z * self.loss.level.noise)

    def _break(self) -> list[TrainingFinding]:
        """The level is where the newest steps are: nothing is out of order for ever."""
        held = list(self.loss.held)
        third = len(held) // 3
        was = (self.shape, self.is_rising)
        if third and self._is_rise(median(held[-third:]) - median(held[:third])):
            self.is_rising = True
        for channel in (self.loss, self.norm, self.update):
            if channel.held:
                channel.level.rebase(channel.held)
                channel.held.clear()
        self.settling_from = self.loss.level.base.median
        self.shape, self.high, self.is_settling, self.is_grave, self.is_out = "not_recovering", 0, True, True, False
        return [self._finding(None)] if was != (self.shape, self.is_rising) else []

    def _lasting(self) -> list[TrainingFinding]:
        if self.high >= self.limits.breaker_points:
            return self._break()
        if self.shape == "one_step":
            self.shape = "plateau"
            return [self._finding(None)]
        if self.high == self.limits.grave_points and not self.is_grave:
            self.is_grave = True
            return [self._finding(None)]
        return []

    def _over(self) -> list[TrainingFinding]:
        over = self._finding(self.last)
        self.start, self.is_settling = None, False
        for channel in (self.loss, self.norm, self.update):
            channel.held.clear()
        return [over]

    def _finding(self, end: int | None) -> TrainingFinding:
        assert self.start is not None
        name = {"loss": "loss", "grad_norm": "gradient norm", "update_norm": "update norm"}[self.metric]
        evidence: dict[str, object] = {
            "num_points": self.total,
            "z": round(min(self.peak_z, 1e9), 2),
            "lead_steps": self.start - self.onset,
            **self.loss.figures("loss"),
            **self.norm.figures("grad_norm"),
            **self.update.figures("update_norm"),
        }
        before, peak = (evidence.get(f"{self.metric}_{word}") for word in ("before", "peak"))
        figures = f" from {before:.4g} to {peak:.4g}" if before is not None else ""
        how = {
            "one_step": "one logged step",
            "plateau": f"{self.total} logged steps",
            "not_recovering": "goes on rising" if self.is_rising else "did not come back",
        }[self.shape]
        return TrainingFinding(
            kind="divergence" if self.is_rising else "spike",
            metric=self.metric,
            shape="ramp" if self.is_rising else self.shape,
            start=self.start,
            end=end,
            onset=self.onset,
            last=self.last,
            severity=Severity.FAIL if self.is_grave else Severity.WARN,
            message=f"{name} jumped{figures} at step {self.start} ({evidence['z']} robust deviations): {how}",
            evidence=evidence,
        )
