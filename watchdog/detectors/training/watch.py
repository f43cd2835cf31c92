"""All detectors over one series: what the trainer's guard, the daemon and a replay call. It judges nothing itself.

loss, norms ─▶ nonfinite ─▶ spike ─▶ (what is in order) ─▶ divergence, noise, offset
throughput ──▶ drop, shift, drift
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from watchdog.detectors.training import divergence, noise, nonfinite, offset, spike, throughput
from watchdog.detectors.training.kept import Kept
from watchdog.detectors.training.words import Mark, MarkKind, Point, TrainingFinding

VERSION = 1
"""Of the state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingLimits:
    """Thresholds of every detector of a series."""

    nonfinite: "nonfinite.Limits" = field(default_factory=nonfinite.Limits)
    spike: "spike.Limits" = field(default_factory=spike.Limits)
    divergence: "divergence.Limits" = field(default_factory=divergence.Limits)
    noise: "noise.Limits" = field(default_factory=noise.Limits)
    offset: "offset.Limits" = field(default_factory=offset.Limits)
    throughput: "throughput.Limits" = field(default_factory=throughput.Limits)


DEFAULTS = TrainingLimits()


class SeriesWatch(Kept):
    """Every detector of one series, one point at a time.

    `observe`, `mark` and `finish` return the events that opened, changed or ended: an event comes again with the same
    `key`, and the newest telling replaces the older. No input raises.
    """

    KEPT = ("version", "overlaps", "nonfinite", "spike", "divergence", "noise", "offset", "throughput")

    def __init__(self, limits: TrainingLimits | None = None, *, reference: Sequence[Point] = ()) -> None:
        """`reference`: an older run, compared at equal tokens (else equal steps)."""
        limits = limits or DEFAULTS
        self.version = VERSION
        self.overlaps: deque[tuple[int, int]] = deque(maxlen=16)
        self.nonfinite = nonfinite.Nonfinite(limits.nonfinite)
        self.spike = spike.Spike(limits.spike)
        self.divergence = divergence.Divergence(limits.divergence)
        self.noise = noise.Noise(limits.noise)
        self.offset = offset.Offset(limits.offset)
        self.throughput = throughput.Throughput(limits.throughput)
        self._reference = offset.Reference(reference) if reference else None
        self._noise_points = limits.noise.block_points

    @property
    def is_out(self) -> bool:
        """The newest point was out of order: a guard may veto its update. It is never so for more than the breaker's
        points in a row, but for numbers that are none; a rise that goes on is for a rollback, not for vetoes."""
        is_jump = self.spike.is_out and not self.spike.is_rising
        return is_jump or (self.nonfinite.start is not None and self.nonfinite.quiet == 0)

    def mark(self, mark: Mark) -> Sequence[TrainingFinding]:
        """Take a planned event into account; call it before the first point that it concerns."""
        told = self.throughput.mark(mark)
        if mark.kind is MarkKind.OVERLAP:
            self.overlaps.append((mark.start, mark.last))
        if mark.kind is MarkKind.STAGE:
            return [*told, *self.spike.rebase(), *self.divergence.rebase(), *self.noise.rebase()]
        return [*told, *self.noise.rebase()] if mark.kind is MarkKind.DECAY else told

    def observe(self, point: Point) -> Sequence[TrainingFinding]:
        """Judge one step: what opened, changed or ended with it, mostly nothing."""
        told: list[TrainingFinding] = self.nonfinite.observe(point)
        again = bool(self.overlaps) and any(first <= point.step <= last for first, last in self.overlaps)
        if point.loss is not None or point.grad_norm is not None or point.update_norm is not None:
            was_lasting = self.spike.is_settling
            jumps = self.spike.observe(point, is_learning=not again)
            if jumps:
                told = [*told, *jumps]
            if was_lasting != self.spike.is_settling:
                # The level is another from here on, whatever it was.
                told = [*told, *self.divergence.rebase()]
            if self.spike.loss.value is not None and not again and self.spike.start is None:
                told = [*told, *self._in_order(point, self.spike.loss.value)]
        if point.tokens_per_second is not None or point.seconds is not None:
            told = [*told, *self.throughput.observe(point)]
        return told

    def finish(self) -> Sequence[TrainingFinding]:
        """The series is over: what is still open, with `end` None, and what had to wait for more points."""
        parts = (self.nonfinite, self.spike, self.divergence, self.noise, self.offset, self.throughput)
        return [found for part in parts for found in part.finish()]

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`, of the same limits. A state of another version is refused with ValueError."""
        if state.get("version") != VERSION:
            raise ValueError(f"this state of the detectors is of version {state.get('version')}, not {VERSION}")
        super().restore(state)

    def _in_order(self, point: Point, value: float) -> list[TrainingFinding]:
        told = self.divergence.accept(point.step, value, self.spike.loss.level)
        reference = self._reference
        usual = None
        if reference is not None and (place := reference.place(point)) is not None:
            there = reference.at(place)
            if there is not None:
                told = [*told, *self.offset.accept(point.step, value - there)]
            if len(self.noise.block) == self._noise_points - 1:
                usual = reference.noise(place, self._noise_points)
        return [*told, *self.noise.accept(point.step, value, usual)]


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
    events: dict[tuple[str, str, int], TrainingFinding] = {}
    for point in points:
        while waiting and waiting[-1].start <= point.step:
            for found in watch.mark(waiting.pop()):
                events[found.key] = found
        for found in watch.observe(point):
            events[found.key] = found
    for found in watch.finish():
        events[found.key] = found
    return sorted(events.values(), key=lambda found: (found.start, found.kind, found.metric))
