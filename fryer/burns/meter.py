"""Completed work becomes one `Point` an interval: its rate while it ran, and how much of the interval it ran."""

from collections import deque

from fryer.burns.rates import POINT_SECONDS, SHORT_INTERVALS
from fryer.records import Point

SHORTEST_SHARE = 0.25
"""A last interval shorter than this share of a whole one says little and is left out, unless it is the only one."""


class Meter:
    """Adds up work in the order in which it was completed."""

    def __init__(
        self, *, device: str, burn: str, case: str, metric: str, start_seconds: float, lasts_seconds: float
    ) -> None:
        """The first interval begins at `start_seconds` on the run's clock; `lasts_seconds`: what all of them share.

        An interval is `POINT_SECONDS` long, or less in a short time, so that there are `SHORT_INTERVALS`.
        """
        self._names = {"device": device, "burn": burn, "case": case, "metric": metric}
        self._interval = min(POINT_SECONDS, max(lasts_seconds, 0.0) / SHORT_INTERVALS)
        self._start = start_seconds
        self._last = start_seconds
        self._due = start_seconds + self._interval
        self._work = 0.0
        self._busy = 0.0
        self._excluded = 0.0
        self._later: deque[tuple[float, float]] = deque()
        self._num_points = 0

    def add(self, work: float, busy_seconds: float, at_seconds: float) -> Point | None:
        """Count `work` (operations or bytes) that took `busy_seconds` and was all done at `at_seconds`.

        Returns the point of a full interval. Intervals begin where work ended and end with the first work that ends
        after they are due, so that late ends do not add up.
        """
        self._work += work
        self._busy += busy_seconds
        self._last = at_seconds
        while self._later and self._later[0][1] <= at_seconds:
            since, until = self._later.popleft()
            self._excluded += until - since
        return self._close() if at_seconds >= self._due else None

    def exclude(self, since_seconds: float, until_seconds: float) -> None:
        """What was done in this time is no part of the burn. No work ends in it; some that ends before may be added."""
        self._later.append((since_seconds, until_seconds))

    def finish(self) -> Point | None:
        """The point of the last, shorter interval."""
        length = self._last - self._start
        enough = length >= SHORTEST_SHARE * self._interval or (self._num_points == 0 and length > 0)
        return self._close() if enough and self._work else None

    def _close(self) -> Point:
        length = self._last - self._start - self._excluded
        busy = self._busy or length
        point = Point(
            **self._names,
            at_seconds=self._last,
            value=self._work / busy,
            busy_ratio=min(1.0, busy / length) if length > 0 else 1.0,
        )
        self._start, self._work, self._busy, self._excluded = self._last, 0.0, 0.0, 0.0
        while self._due <= self._last and self._interval:
            self._due += self._interval
        self._num_points += 1
        return point
