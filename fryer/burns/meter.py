"""Completed work becomes one `Point` a second."""

from fryer.records import Point

POINT_SECONDS = 1.0
SHORTEST_SHARE = 0.25
"""A last interval shorter than this share of a second says little and is left out, unless it is the only one."""


class Meter:
    """Adds up work in the order in which it was completed."""

    def __init__(self, *, device: str, burn: str, case: str, metric: str, start_seconds: float) -> None:
        """The first interval begins at `start_seconds` on the run's clock."""
        self._names = {"device": device, "burn": burn, "case": case, "metric": metric}
        self._start = start_seconds
        self._last = start_seconds
        self._work = 0.0
        self._num_points = 0

    def add(self, work: float, at_seconds: float) -> Point | None:
        """Count `work` (operations or bytes) completed at `at_seconds`; returns the point of a full interval."""
        self._work += work
        self._last = at_seconds
        return self._close() if at_seconds - self._start >= POINT_SECONDS else None

    def finish(self) -> Point | None:
        """The point of the last, shorter interval."""
        length = self._last - self._start
        enough = length >= SHORTEST_SHARE * POINT_SECONDS or (self._num_points == 0 and length > 0)
        return self._close() if enough and self._work else None

    def _close(self) -> Point:
        point = Point(**self._names, at_seconds=self._last, value=self._work / (self._last - self._start))
        self._start, self._work = self._last, 0.0
        self._num_points += 1
        return point
