"""Which phase of a step got longer: medians of each phase's seconds, before and within."""

from collections import deque
from collections.abc import Mapping

from watchdog.detectors.training.kept import Kept

RECENT_POINTS = 64
"""Steps whose phases are remembered singly (ours: a shift is seen after 35)."""
EVERY_POINTS = 32
"""The usual phases are renewed once in so many (ours)."""


class Phases(Kept):
    """What phases usually take, and took of late. A trainer that logs none costs nothing."""

    KEPT = ("recent", "usual", "count")

    def __init__(self) -> None:
        """Nothing is known at the start."""
        self.recent: deque[tuple[int, dict[str, float]]] = deque(maxlen=RECENT_POINTS)
        self.usual: dict[str, float] = {}
        self.count = 0

    def observe(self, step: int, times: Mapping[str, float], *, is_in_order: bool) -> None:
        """Remember one step's phases; the usual ones are those of steps in order."""
        if not times:
            return
        self.recent.append((step, {name: value for name, value in times.items() if 0 <= value < 1e12}))
        if not is_in_order:
            self.count = 0
            return
        self.count += 1
        if self.count >= EVERY_POINTS or not self.usual:
            self.count = 0
            self.usual = _medians([phases for _, phases in list(self.recent)[-EVERY_POINTS:]])

    def longer(self, start: int, end: int) -> str:
        """The phase that grew most in seconds from `start` to `end`; empty where phases are not logged or none grew."""
        within = _medians([phases for step, phases in self.recent if start <= step <= end])
        grown = {name: value - self.usual.get(name, 0.0) for name, value in within.items()}
        name = max(grown, key=lambda each: (grown[each], each), default="")
        return name if name and grown[name] > 0 else ""


def _medians(many: list[dict[str, float]]) -> dict[str, float]:
    by_name: dict[str, list[float]] = {}
    for phases in many:
        for name, value in phases.items():
            by_name.setdefault(name, []).append(value)
    return {name: sorted(values)[len(values) // 2] for name, values in by_name.items()}
