"""What a rule said of a curve against what is known of it: intervals found, missed and made up; delay; false vetoes."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.detector_curves import Curve, Span
from watchdog.detectors.training.ranks import RankWatch
from watchdog.detectors.training.rivals import Rule
from watchdog.detectors.training.watch import SeriesWatch
from watchdog.detectors.training.words import TrainingFinding

NEAR_POINTS = 3
"""An interval so many points from the truth is it; alarms so near to each other are one."""
LOSS = ("spike", "nonfinite", "divergence")
"""One family: which of them a published rule means it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One event, by steps."""

    kind: str
    start: int
    end: int
    told: int
    """Step at which it was said first."""


@dataclass(slots=True, kw_only=True)
class Score:
    """Sums over curves."""

    truths: int = 0
    found: int = 0
    right: int = 0
    wrong: int = 0
    delays: list[int] = field(default_factory=list)
    """Logged points from the first of the truth to the first word."""
    clean_points: int = 0
    clean_alarms: int = 0
    points: int = 0
    """Of curves of loss."""
    false_vetoes: int = 0
    """Points outside of truth and doubt that would have been vetoed."""
    missed: list[str] = field(default_factory=list)
    made_up: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """Of what was to be found; 1 for nothing."""
        return self.found / self.truths if self.truths else 1.0

    @property
    def precision(self) -> float:
        """Of what was said; 1 for nothing."""
        said = self.right + self.wrong
        return self.right / said if said else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean; 0 where nothing was found."""
        both = self.recall + self.precision
        return 2 * self.recall * self.precision / both if both and self.found else 0.0


def ours(curve: Curve) -> tuple[list[Said], list[int]]:
    """Events of our detectors, and the steps that a guard would have vetoed."""
    if curve.ranks:
        return _ours_of_ranks(curve), []
    watch = SeriesWatch(reference=curve.reference)
    marks = sorted(curve.marks, key=lambda mark: mark.start, reverse=True)
    events: dict[object, TrainingFinding] = {}
    told: dict[object, int] = {}
    vetoed = []
    for point in curve.points:
        found = list(watch.mark(marks.pop())) if marks and marks[-1].start <= point.step else []
        for event in [*found, *watch.observe(point)]:
            events[event.key] = event
            told.setdefault(event.key, point.step)
        if watch.is_out:
            vetoed.append(point.step)
    last = curve.points[-1].step
    for event in watch.finish():
        events[event.key] = event
    return [_said(event, told.get(key, last)) for key, event in events.items()], vetoed


def _ours_of_ranks(curve: Curve) -> list[Said]:
    watch = RankWatch(len({point.rank for point in curve.ranks}))
    events: dict[object, TrainingFinding] = {}
    told: dict[object, int] = {}
    for point in curve.ranks:
        for event in watch.observe(point):
            events[event.key] = event
            told.setdefault(event.key, point.step)
    for event in watch.finish():
        events[event.key] = event
    return [_said(event, told[key]) for key, event in events.items()]


def _said(event: TrainingFinding, told: int) -> Said:
    return Said(kind=event.kind, start=event.onset, end=max(event.last, event.onset), told=told)


def theirs(curve: Curve, make: Callable[[], Rule], kind: str) -> tuple[list[Said], list[int]]:
    """Alarms of a published rule, those near to each other as one event; each alarm is a veto."""
    rule = make()
    hits = [index for index, point in enumerate(curve.points) if rule.is_alarm(point)]
    said: list[list[int]] = []
    for index in hits:
        if said and index - said[-1][1] <= NEAR_POINTS:
            said[-1][1] = index
        else:
            said.append([index, index])
    steps = [point.step for point in curve.points]
    events = [Said(kind=kind, start=steps[a], end=steps[b], told=steps[a]) for a, b in said]
    return events, [steps[index] for index in hits]


def add(score: Score, curve: Curve, said: list[Said], vetoed: list[int]) -> None:
    """Score one curve. Of a labelled kind only events of its family count; of a clean one, all."""
    steps = [point.step for point in curve.points] or sorted({point.step for point in curve.ranks})
    family = LOSS if curve.kind in LOSS else (curve.kind,)
    if curve.kind != "clean":
        said = [each for each in said if each.kind in family]
    truth, doubtful = _indices(curve.truth, steps), _indices(curve.doubtful, steps)
    spans = _indices([(each.start, each.end) for each in said], steps)
    for span, (low, high) in zip(curve.truth, truth, strict=True):
        covering = [each for each, (a, b) in zip(said, spans, strict=True) if a <= high and b >= low]
        score.truths += 1
        score.found += bool(covering)
        if covering:
            first = min(each.told for each in covering)
            score.delays.append(max(0, bisect_left(steps, first) - bisect_left(steps, span[0])))
        else:
            score.missed.append(f"{curve.name} {span[0]}")
    wrong = 0
    for each, span in zip(said, spans, strict=True):
        if _meets(span, truth):
            score.right += 1
        elif not _meets(span, doubtful):
            wrong += 1
            score.made_up.append(f"{curve.name} {each.kind} {each.start}")
    score.wrong += wrong
    if curve.kind == "clean":
        score.clean_points += len(steps)
        score.clean_alarms += wrong
    if curve.kind not in (*LOSS, "clean"):
        return
    score.points += len(steps)
    known = _indices([(step, step) for step in vetoed], steps, near=0)
    score.false_vetoes += sum(not _meets(span, truth) and not _meets(span, doubtful) for span in known)


def _indices(spans: list[Span], steps: list[int], near: int = NEAR_POINTS) -> list[Span]:
    return [(bisect_left(steps, first) - near, bisect_right(steps, last) - 1 + near) for first, last in spans]


def _meets(span: Span, others: list[Span]) -> bool:
    return any(low <= span[1] and high >= span[0] for low, high in others)
