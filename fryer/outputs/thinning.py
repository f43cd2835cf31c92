"""Fewer points for drawing, so that a run of a week still opens: extremes stay, so no dip is lost. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_POINTS = 2000
"""Points drawn of one series; more than a plot has columns of pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series to draw: `y` at `x`, None where there was no reading."""

    name: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    num_measured: int
    """How many points the series had before thinning."""

    @property
    def is_thinned(self) -> bool:
        """Some of its points are not drawn."""
        return len(self.x) < self.num_measured


def thin(name: str, x: Sequence[float], y: Sequence[float | None], most: int = MOST_POINTS) -> Line:
    """At most `most` points (2 or more): of each of equally long stretches the lowest and the highest, in order."""
    count = len(x)
    if count <= most:
        return Line(name=name, x=tuple(x), y=tuple(y), num_measured=count)
    num_stretches = most // 2
    kept: list[int] = []
    for stretch in range(num_stretches):
        indices = range(stretch * count // num_stretches, (stretch + 1) * count // num_stretches)
        known = [(value, i) for i in indices if (value := y[i]) is not None]
        kept += sorted({min(known)[1], max(known)[1]}) if known else [indices[0]]
    return Line(name=name, x=tuple(x[i] for i in kept), y=tuple(y[i] for i in kept), num_measured=count)
