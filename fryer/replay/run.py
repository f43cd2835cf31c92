"""One run of a file under the detectors: its events, and what is needed to explain them. Pure, one point at a time."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fryer.replay.attempts import Attempts
from fryer.replay.beside import alarms_of
from fryer.replay.columns import VALUES
from fryer.replay.curve import DRAWN, Line
from fryer.replay.words import SourceLosses
from watchdog.attribution import SourceRise, SourceTrack
from watchdog.detectors.training.ranks import RankWatch
from watchdog.detectors.training.watch import SeriesWatch
from watchdog.detectors.training.words import Mark, MarkKind, Point, RankPoint, TrainingFinding

_TIMES_KEPT = 4096
"""Steps whose time of day is remembered: no event begins longer before it is told."""
_MOST_RANKS = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """How runs are judged."""

    marks: Sequence[Mark] = ()
    """Planned events that a person declared."""
    reference: Sequence[Point] = ()
    """An older run."""
    reference_name: str = ""
    """Its name, so that it is not compared with itself."""
    rules: tuple[str, ...] = ()
    """Others' rules that are run beside ours."""
    is_drawn: bool = False


@dataclass(slots=True)
class Event:
    """A finding, and where and when it was."""

    finding: TrainingFinding
    attempt: int
    """Index of the stretch that it began in."""
    at_seconds: float | None = None
    batch: str = ""
    source: SourceRise | None = None
    is_other_batch: bool = False
    """Its step was trained again with other samples."""
    is_of_ranks: bool = False


class Run:
    """One run. Give it everything in order, then `finish`."""

    def __init__(self, *, file: str, name: str, judging: Judging | None = None) -> None:
        """`name`: as the file has it; empty where it has none."""
        judging = judging or Judging()
        is_reference = bool(judging.reference) and (name or file) == judging.reference_name
        self.file, self.name = file, name
        self.watch = SeriesWatch(reference=() if is_reference else judging.reference)
        self.events: list[Event] = []
        self.attempts = Attempts()
        self.counts: Counter[str] = Counter()
        """Points with each field."""
        self.num_points = 0
        self.is_by_tokens = True
        """Its unit of progress is tokens: it has no steps."""
        self.marks: list[Mark] = []
        """Planned events, declared by the file or a person, or seen as the run went back."""
        self.alarms = alarms_of(judging.rules)
        self.lines: dict[str, Line] = {name: Line() for name in DRAWN} if judging.is_drawn else {}
        self.older: dict[str, list[tuple[list[int], list[float]]]] = {}
        """What was drawn of steps that were trained again."""
        self.sources = SourceTrack()
        self._waiting = sorted(judging.marks, key=lambda mark: mark.start, reverse=True)
        self._pending: Point | None = None
        self._times: deque[tuple[int, float]] = deque(maxlen=_TIMES_KEPT)
        self._newest: dict[tuple[str, str, int], Event] = {}
        self._is_declared = False
        self._again: dict[int, Event] = {}
        self._ranks: RankWatch | None = None
        self._first_ranks: list[RankPoint] = []

    def take(self, thing: Point | Mark | RankPoint | SourceLosses) -> None:
        """The next thing that the file says of this run."""
        if isinstance(thing, Point):
            before = self._pending
            if before is None or thing.step != before.step:
                self._pending = thing
                if before is not None:
                    self._observe(before)
            else:
                self._pending = _merged(before, thing)
        elif isinstance(thing, RankPoint):
            self._observe_rank(thing)
        else:
            self._flush()
            if isinstance(thing, Mark):
                self._mark(thing)
            else:
                self.sources.observe(thing.step, thing.losses)

    def finish(self) -> None:
        """The file is over."""
        self._flush()
        self._tell(self.watch.finish())
        if self._ranks is None and self._first_ranks:
            self._start_ranks()
        if self._ranks is not None:
            self._tell(self._ranks.finish(), is_of_ranks=True)
        for line in self.lines.values():
            line.finish()

    def _flush(self) -> None:
        if self._pending is not None:
            before, self._pending = self._pending, None
            self._observe(before)

    def _mark(self, mark: Mark) -> None:
        if mark.kind in (MarkKind.RESTART, MarkKind.OVERLAP):
            self._is_declared = True
        self.marks.append(mark)
        self._tell(self.watch.mark(mark))
        if self._ranks is not None:
            self._tell(self._ranks.mark(mark), is_of_ranks=True)

    def _observe(self, point: Point) -> None:
        step = point.step
        newest = self.attempts.newest
        if self.attempts.went_back(step):
            self._go_back(step, newest)
        self._is_declared = False
        while self._waiting and self._waiting[-1].start <= step:
            self._mark(self._waiting.pop())
        self._is_declared = False
        if self._again and (event := self._again.get(step)) is not None:
            event.is_other_batch = bool(event.batch and point.batch and event.batch != point.batch) or point.is_skipped
        self._note(point)
        told = self.watch.observe(point)
        if told:
            self._tell(told, batch=point.batch)
        for alarms in self.alarms:
            alarms.observe(point)

    def _note(self, point: Point) -> None:
        self.num_points += 1
        counts = self.counts
        for name in VALUES:
            if getattr(point, name) is not None:
                counts[name] += 1
        if point.tokens != point.step:
            self.is_by_tokens = False
        if point.at_seconds is not None:
            self._times.append((point.step, point.at_seconds))
        for name, line in self.lines.items():
            value = getattr(point, name)
            if value is not None:
                line.add(point.step, value)

    def _go_back(self, step: int, newest: int | None) -> None:
        """Steps are trained again: what was drawn of them is old, and the detectors are told unless the file did."""
        if not self._is_declared:
            self._mark(Mark(kind=MarkKind.RESTART, start=step))
            if newest is not None and step <= newest:
                self._mark(Mark(kind=MarkKind.OVERLAP, start=step, end=newest))
        self._again = {
            event.finding.start: event
            for event in self.events
            if event.finding.start >= step and event.attempt < self.attempts.num_stretches - 1
        }
        for name, line in self.lines.items():
            gone = line.cut(step)
            if gone[0]:
                self.older.setdefault(name, []).append(gone)

    def _tell(self, told: Iterable[TrainingFinding], *, batch: str = "", is_of_ranks: bool = False) -> None:
        attempt = max(0, self.attempts.num_stretches - 1)
        for found in told:
            event = self._newest.get(found.key)
            if event is None or not (event.attempt == attempt or event.finding.is_open):
                at = self._at(found.start)
                event = Event(finding=found, attempt=attempt, at_seconds=at, batch=batch, is_of_ranks=is_of_ranks)
                self._newest[found.key] = event
                self.events.append(event)
            event.finding = found
            if self.sources.losses:
                event.source = self.sources.rise(found.start, found.last) or event.source

    def _at(self, step: int) -> float | None:
        return next((at for known, at in reversed(self._times) if known <= step), None)

    def _observe_rank(self, point: RankPoint) -> None:
        self.counts["rank"] += 1
        if self._ranks is not None:
            self._tell(self._ranks.observe(point), is_of_ranks=True)
            return
        first = self._first_ranks
        is_whole = bool(first) and (any(each.rank == point.rank for each in first) or len(first) >= _MOST_RANKS)
        first.append(point)
        if is_whole:
            self._start_ranks()

    def _start_ranks(self) -> None:
        """How many ranks there are is known once one of them comes a second time."""
        first, self._first_ranks = self._first_ranks, []
        self._ranks = RankWatch(len({point.rank for point in first}))
        for point in first:
            self._tell(self._ranks.observe(point), is_of_ranks=True)


def _merged(before: Point, now: Point) -> Point:
    """Two rows of one step: what the newer has goes before."""
    values = {name: value for name in VALUES if (value := getattr(now, name)) is not None}
    more = {name: value for name in ("tokens", "at_seconds", "batch", "times") if (value := getattr(now, name))}
    return replace(before, is_skipped=now.is_skipped, **values, **more)
