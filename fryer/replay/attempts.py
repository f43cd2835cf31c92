"""Where a run went back and trained steps again, and whether a file is merely out of order. Pure.

A run that goes back has been started again or rolled back: what came before from that step on is of a past that is no
more, and the newest wins. A file that holds each step once, in another order, is another thing: it has to be sorted.
"""

from dataclasses import dataclass
from itertools import pairwise

_MANY = 16
"""Stretches from which a file is held for shuffled if they are short (ours)..."""
_SHORT_POINTS = 8
"""...on average (ours): a run that is started again trains longer."""
_MOST = 4096
"""Stretches that are remembered; a run is not started again as often."""


@dataclass(slots=True)
class Stretch:
    """Steps that were trained one after another."""

    first: int
    last: int
    num_points: int = 1


class Attempts:
    """The stretches of one run."""

    def __init__(self) -> None:
        """Nothing was trained."""
        self.stretches: list[Stretch] = []
        self.num_stretches = self.num_points = 0
        self.newest: int | None = None
        """Highest step so far."""

    def went_back(self, step: int) -> bool:
        """Take the next step; whether a new stretch begins with it, and it is not the first."""
        self.num_points += 1
        if self.stretches and step > self.stretches[-1].last:
            stretch = self.stretches[-1]
            stretch.last, stretch.num_points = step, stretch.num_points + 1
            if self.newest is None or step > self.newest:
                self.newest = step
            return False
        self.num_stretches += 1
        if len(self.stretches) < _MOST:
            self.stretches.append(Stretch(step, step))
        else:
            self.stretches[-1] = Stretch(step, step)
        if self.newest is None or step > self.newest:
            self.newest = step
        return self.num_stretches > 1

    @property
    def is_out_of_order(self) -> bool:
        """The file holds its steps in another order than they were trained."""
        if self.num_stretches < 2:
            return False
        if self.num_stretches >= _MANY and self.num_points < _SHORT_POINTS * self.num_stretches:
            return True
        ordered = sorted(self.stretches, key=lambda stretch: stretch.first)
        return all(one.last < other.first for one, other in pairwise(ordered))
