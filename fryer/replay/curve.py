"""What is drawn of a run: its figures by step, thinned while they come, so that a run of any length fits. Pure."""

from dataclasses import dataclass, field

MOST_POINTS = 4000
"""Points of one line at most; extremes stay, so that no spike is lost."""
DRAWN = ("loss", "grad_norm", "tokens_per_second", "seconds")
"""Fields of `Point` that are drawn, each in a plot of its own."""


@dataclass(slots=True)
class Line:
    """One figure by step."""

    x: list[int] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    every: int = 1
    """How many points one stretch of the kept ones stands for."""
    waiting: list[tuple[int, float]] = field(default_factory=list)

    def add(self, step: int, value: float) -> None:
        """One more point."""
        self.waiting.append((step, value))
        if len(self.waiting) >= 2 * self.every:
            self._keep()
            if len(self.x) > MOST_POINTS:
                self._halve()

    def finish(self) -> None:
        """No more points."""
        self._keep()

    def cut(self, step: int) -> tuple[list[int], list[float]]:
        """Take away what is of `step` and later, and return it."""
        self._keep()
        place = next((index for index, x in enumerate(self.x) if x >= step), len(self.x))
        gone = (self.x[place:], self.y[place:])
        del self.x[place:], self.y[place:]
        return gone

    def _keep(self) -> None:
        kept = _extremes(self.waiting) if self.every > 1 else self.waiting
        self.x += [step for step, _ in kept]
        self.y += [value for _, value in kept]
        self.waiting = []

    def _halve(self) -> None:
        points = list(zip(self.x, self.y, strict=True))
        kept = [point for place in range(0, len(points), 4) for point in _extremes(points[place : place + 4])]
        self.x, self.y = [step for step, _ in kept], [value for _, value in kept]
        self.every *= 2


def _extremes(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The lowest and the highest of some points, in their order."""
    if len(points) < 3:
        return points
    low = min(range(len(points)), key=lambda index: points[index][1])
    high = max(range(len(points)), key=lambda index: points[index][1])
    return [points[index] for index in sorted({low, high})]
