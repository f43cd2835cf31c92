"""All detectors over one series: what the trainer's guard, the daemon and a replay call. It judges nothing itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from watchdog.detectors.training.words import Mark, Point, TrainingFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingLimits:
    """Thresholds of every detector."""


class SeriesWatch:
    """Every detector of one series, one point at a time.

    `observe`, `mark` and `finish` return the events that opened, changed or ended: an event comes again with the same
    `key`, and the newest telling replaces the older. No input raises.
    """

    def __init__(self, limits: TrainingLimits | None = None, *, reference: Sequence[Point] = ()) -> None:
        """`reference`: an older run, compared at equal tokens (else equal steps)."""
        self._limits = limits or TrainingLimits()
        self._reference = reference
        self._last: Mark | Point | None = None

    def mark(self, mark: Mark) -> Sequence[TrainingFinding]:
        """Take a planned event into account; call it before the first point that it concerns."""
        self._last = mark
        return ()

    def observe(self, point: Point) -> Sequence[TrainingFinding]:
        """Judge one step: what opened, changed or ended with it, mostly nothing."""
        self._last = point
        return ()

    def finish(self) -> Sequence[TrainingFinding]:
        """The series is over: what is still open, with `end` None, and what had to wait for more points."""
        return ()

    def state(self) -> dict[str, object]:
        """All that the next point's judgement depends on, ready for JSON; bounded, whatever the length of the run."""
        return {}

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from a `state`, of the same limits. A state of another version is refused with ValueError."""


def watch_series(
    points: Iterable[Point],
    marks: Iterable[Mark] = (),
    *,
    limits: TrainingLimits | None = None,
    reference: Sequence[Point] = (),
) -> list[TrainingFinding]:
    """Every event of a whole series once, in its final form, by start. Points are read one at a time and not kept.

    Marks may come in any order; each is applied before the first point at or past its start.
    """
    watch = SeriesWatch(limits, reference=reference)
    waiting = sorted(marks, key=lambda mark: mark.start, reverse=True)
    events: dict[tuple[str, str, str, int], TrainingFinding] = {}
    for point in points:
        while waiting and waiting[-1].start <= point.step:
            events.update((found.key, found) for found in watch.mark(waiting.pop()))
        for found in watch.observe(point):
            events[found.key] = found
    for found in watch.finish():
        events[found.key] = found
    return sorted(events.values(), key=lambda found: (found.start, found.kind, found.metric))
