"""One rank whose own work takes longer than the others': the whole run waits for it at each step.

Only a rank's own work tells: in a synchronous run the wall time of a step is the same on all, whoever is slow.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from watchdog.detectors.training.kept import Kept
from watchdog.detectors.training.window import GAUSSIAN, RobustWindow
from watchdog.detectors.training.words import TrainingFinding
from watchdog.vocabulary.findings import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Thresholds."""

    window_steps: int = 8
    """A rank's excess is the median over so many steps (ours; NVRx reports over 60 s)."""
    ratio: float = 0.05
    """Over the median of all ranks: one slow GPU cost BLOOM 5 to 6 % (NVRx flags from 33 %)."""
    spread: float = 3.5
    """And so many robust deviations among the ranks of one step, at the median over `spread_steps`: work that is uneven
    by itself, as by pipeline stage or sequence length. A median over 8 steps strays by 1.3 of 3.5 (ours)."""
    spread_steps: int = 64
    """How long the usual spread is remembered (ours)."""
    fail_ratio: float = 0.25
    """FAIL from here on (NVRx: score below 0.75, a third more time)."""
    least_ranks: int = 4
    """Of fewer none is odd (ours)."""


class Straggler(Kept):
    """The detector. It is given one step of all ranks at a time."""

    KEPT = ("excess", "open", "spreads", "newest")

    def __init__(self, limits: Limits) -> None:
        """Nothing is known at the start."""
        self.limits = limits
        self.excess: dict[str, list[float]] = {}
        self.open: dict[str, list[float]] = {}
        """By rank: step at which it began, newest step, highest excess."""
        self.spreads = RobustWindow(limits.spread_steps)
        self.newest: deque[int] = deque(maxlen=limits.window_steps)

    def observe(self, step: int, work: Mapping[int, float], phases: Mapping[int, str]) -> list[TrainingFinding]:
        """Judge one step. `work`: own seconds by rank; `phases`: what each slow rank spent its time in, where known."""
        if len(work) < self.limits.least_ranks:
            return []
        middle = _median(list(work.values()))
        if middle <= 0:
            return []
        self.spreads.add(GAUSSIAN * _median([abs(seconds / middle - 1) for seconds in work.values()]))
        self.newest.append(step)
        scores: dict[int, float] = {}
        for rank, seconds in work.items():
            kept = self.excess.setdefault(str(rank), [])
            kept.append(seconds / middle - 1)
            del kept[: -self.limits.window_steps]
            if len(kept) == self.limits.window_steps:
                scores[rank] = _median(kept)
        return self._judge(step, scores, phases) if len(scores) >= self.limits.least_ranks else []

    def rebase(self) -> list[TrainingFinding]:
        """Another layout: ranks are others."""
        over = [self._finding(rank, int(self.open[rank][1]), "") for rank in sorted(self.open)]
        self.excess.clear()
        self.open.clear()
        return over

    def finish(self) -> list[TrainingFinding]:
        """What lasts."""
        return [self._finding(rank, None, "") for rank in sorted(self.open)]

    def _judge(self, step: int, scores: Mapping[int, float], phases: Mapping[int, str]) -> list[TrainingFinding]:
        middle = _median(list(scores.values()))
        limit = max(self.limits.ratio, self.limits.spread * self.spreads.median)
        told = []
        for rank, score in scores.items():
            name, excess = str(rank), score - middle
            if name in self.open:
                told += self._go_on(step, name, excess, limit)
            elif excess > limit:
                self.open[name] = [self._since(name, limit), step, excess]
                told.append(self._finding(name, None, phases.get(rank, "")))
        return told

    def _since(self, name: str, limit: float) -> int:
        """First of the newest steps at which the rank was late."""
        steps = zip(reversed(self.newest), reversed(self.excess[name]), strict=False)
        return min((step for step, excess in steps if excess > limit), default=self.newest[-1])

    def _go_on(self, step: int, name: str, excess: float, limit: float) -> list[TrainingFinding]:
        entry = self.open[name]
        if excess < 0.5 * limit:
            over = self._finding(name, int(entry[1]), "")
            del self.open[name]
            return [over]
        was, entry[1], entry[2] = entry[2], step, max(entry[2], excess)
        graver = was <= self.limits.fail_ratio < entry[2]
        return [self._finding(name, None, "")] if graver else []

    def _finding(self, rank: str, end: int | None, phase: str) -> TrainingFinding:
        start, last, excess = self.open[rank]
        by = f", most of it in {phase}" if phase else ""
        return TrainingFinding(
            kind="straggler",
            metric="seconds",
            shape="slow_rank",
            start=int(start),
            end=end,
            onset=int(start),
            last=int(last),
            severity=Severity.FAIL if excess > self.limits.fail_ratio else Severity.WARN,
            message=f"rank {rank} arrives {excess:.1%} later than the median of all ranks, by step {int(start)}{by}",
            evidence={"excess_ratio": excess, "phase": phase},
            subject=f"rank {rank}",
        )


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
