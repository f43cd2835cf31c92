"""How much a counter grew, over resets of driver, GPU and machine. It judges nothing."""

from bisect import bisect_right
from dataclasses import dataclass

from watchdog.vocabulary.samples import Series


@dataclass(frozen=True, slots=True)
class Growth:
    """A counter that grew."""

    count: float
    """By how much; after a reset it counts from zero."""
    since: float
    """The first reading that showed growth, Unix seconds."""
    seconds: float
    """Time between the readings that were compared, more than 0."""

    def rate(self, per_seconds: float, least_seconds: float) -> float:
        """Mean growth in `per_seconds`, as if watched for at least so long: a young series has no rate of its own."""
        return self.count * per_seconds / max(self.seconds, least_seconds)


def growth(series: Series, since: float) -> Growth | None:
    """Growth after `since`, against the last reading until then where there is one; None without any."""
    first = max(0, bisect_right(series.at, since) - 1)
    at, values = series.at[first:], series.values[first:]
    if len(values) < 2 or at[-1] <= at[0] or min(values) == max(values):
        return None
    count = Series(at, values).increase
    if count <= 0:
        return None
    grew = next(index for index in range(1, len(values)) if values[index] > 0 and values[index] != values[index - 1])
    return Growth(count, at[grew], at[-1] - at[0])
