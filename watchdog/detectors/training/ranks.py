"""All detectors over the ranks of one run: who is slow, and who is missing. It judges nothing itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from watchdog.detectors.training import hang, straggler
from watchdog.detectors.training.kept import Kept
from watchdog.detectors.training.words import Mark, MarkKind, RankPoint, TrainingFinding

VERSION = 1
"""Of the state."""

WAITING = ("communication",)
"""Phases in which a rank waits for the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankLimits:
    """Thresholds of every detector of ranks."""

    straggler: "straggler.Limits" = field(default_factory=straggler.Limits)
    hang: "hang.Limits" = field(default_factory=hang.Limits)
    open_steps: int = 4
    """Steps that may wait for the word of a rank; then they are judged without it (ours)."""


class RankWatch(Kept):
    """Every detector of one run's ranks. Tellings of one event have the same `key`, as in `SeriesWatch`."""

    KEPT = ("version", "world", "steps", "phases", "straggler", "hang")

    def __init__(self, world: int, limits: RankLimits | None = None) -> None:
        """`world`: number of ranks whose word is expected."""
        self.limits = limits or RankLimits()
        self.version = VERSION
        self.world = world
        self.steps: dict[str, dict[str, float]] = {}
        """Own seconds by rank, of steps that wait for the word of some."""
        self.phases: dict[str, str] = {}
        """The longest phase of each rank's newest step."""
        self.straggler = straggler.Straggler(self.limits.straggler)
        self.hang = hang.Hang(self.limits.hang)

    def mark(self, mark: Mark) -> Sequence[TrainingFinding]:
        """Another layout, or a new process: who was slow is judged anew."""
        if mark.kind not in (MarkKind.LAYOUT, MarkKind.RESTART):
            return []
        self.steps.clear()
        return self.straggler.rebase()

    def observe(self, point: RankPoint) -> Sequence[TrainingFinding]:
        """What opened, changed or ended with a rank's word."""
        told = self.hang.observe(point)
        work = own_seconds(point) if point.is_done else None
        if work is None:
            return told
        own = {name: seconds for name, seconds in point.times.items() if name not in WAITING}
        if own:
            self.phases[str(point.rank)] = max(own, key=lambda name: (own[name], name))
        self.steps.setdefault(str(point.step), {})[str(point.rank)] = work
        while self.steps and (
            len(self.steps.get(str(point.step), ())) >= self.world or len(self.steps) > self.limits.open_steps
        ):
            told = [*told, *self._judge(min(map(int, self.steps)))]
        return told

    def look(self, now_seconds: float) -> Sequence[TrainingFinding]:
        """What is to be told at `now_seconds` (Unix), though no rank said anything: call it now and then."""
        return self.hang.look(now_seconds)

    def finish(self) -> Sequence[TrainingFinding]:
        """What lasts."""
        return [*self.straggler.finish(), *self.hang.finish()]

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`, of the same limits. A state of another version is refused with ValueError."""
        if state.get("version") != VERSION:
            raise ValueError(f"this state of the detectors is of version {state.get('version')}, not {VERSION}")
        super().restore(state)

    def _judge(self, step: int) -> list[TrainingFinding]:
        work = {int(rank): seconds for rank, seconds in self.steps.pop(str(step)).items()}
        return self.straggler.observe(step, work, {int(rank): phase for rank, phase in self.phases.items()})


def own_seconds(point: RankPoint) -> float | None:
    """What a rank took for itself, without waiting for others; None where it does not say, or says nonsense."""
    if point.work_seconds is not None:
        seconds = point.work_seconds
    elif point.times:
        seconds = sum(value for name, value in point.times.items() if name not in WAITING)
    elif point.seconds is not None:
        seconds = point.seconds
    else:
        return None
    return seconds if 1e-6 < seconds < 1e9 else None
