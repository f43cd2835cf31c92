"""Others' published rules over the same points: what they would have acted on. Pure."""

from dataclasses import dataclass, field

from watchdog.detectors.training.rivals import RIVALS, Rule
from watchdog.detectors.training.words import Point

NEAR_POINTS = 3
"""Alarms with fewer points in between are one event, as in the benchmark of detectors."""


@dataclass(slots=True)
class Alarms:
    """What one rule said of one run."""

    rule: str
    judge: Rule
    count: int = 0
    """Steps on which it would have acted."""
    spans: list[tuple[int, int]] = field(default_factory=list)
    """[first, last] step of each event."""
    quiet: int = 0

    def observe(self, point: Point) -> None:
        """One point."""
        if not self.judge.is_alarm(point):
            self.quiet += 1
            return
        self.count += 1
        if self.spans and self.quiet < NEAR_POINTS:
            self.spans[-1] = (self.spans[-1][0], point.step)
        else:
            self.spans.append((point.step, point.step))
        self.quiet = 0


def alarms_of(rules: tuple[str, ...]) -> list[Alarms]:
    """Each of `rules`, with an empty memory."""
    return [Alarms(rule=name, judge=RIVALS[name].rule()) for name in rules]
