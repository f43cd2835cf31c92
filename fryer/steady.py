"""Finds the steady part of a measured series, by test and not by "skip the first five".

Pure. Steps, for a series of n values:

1. Truncation by MSER (K. P. White, "An effective truncation heuristic for bias reduction in simulation output",
   Simulation 69(6), 1997): drop the first d values, d <= n/2, for which the squared standard error of the mean of the
   rest is least. It runs over a running median of three (over batch medians from 400 values on), so that one dip or
   one spike moves nothing.
2. Level test on the rest: the medians of its three thirds must agree. They disagree when the change between them,
   carried on over the length of the whole run, is above `DRIFT_RATIO` and also above what noise gives
   (`NUM_ERRORS` standard errors of a median; noise from second differences, which a ramp does not inflate).

A series that fails the second step never became steady: a warm-up that ended is cut, a decline that goes on is not.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import median

from fryer.evidence import Measurement
from fryer.records import Point

DRIFT_RATIO = 0.02
"""Change over the length of the run, relative to the median, from which a level is no longer one. Ours: under half of
the smallest limit that the verdict works with (-5 % of the node), above the 1 % that a settled GPU wanders."""
SHORT_DRIFT_RATIO = 0.10
"""The same for a series too short to estimate its own noise; what was seen counts, and is not carried on."""
SHORT_COUNT = 12
"""Fewer values than this are a short series: ten second differences are the least that give a usable median."""
NUM_ERRORS = 4.0
"""Standard errors a change must exceed: 4 is one false alarm in 16,000 normal series."""
SHORT_NOISE_RATIO = 0.03
"""Standard deviation of one point of a series too short to show its own. Ours: three times the 1 % that a settled GPU
wanders, since the first seconds of a burn hold the warm-up of clocks and libraries too."""
NUM_BATCHES = 200
"""A series of twice as many values is first reduced to medians of batches, so 100,000 values cost little."""
SMALLEST_COUNT = 5
"""With fewer values nothing can be said: the thirds of three or four are single values, and one slow interval among
them looks like a change of level."""

_SIGMA_OF_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
_LEAST_SECOND_DIFFERENCES = 3
"""Values that one second difference takes."""
_MEDIAN_ERROR = 1.2533
"""Standard error of a median over that of a mean, normal distribution: sqrt(pi / 2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """The steady state of one series."""

    value: float
    """Median over the steady part; over all of it when it never became steady."""
    spread_ratio: float
    """Median absolute deviation of that part, over `value`; 0 where the value is 0."""
    from_seconds: float | None
    """Where the steady part begins; None when the series never became steady or is shorter than `SMALLEST_COUNT`."""
    drift_ratio: float
    """Change of level over the length of the run, signed, relative to `value`; 0 for a series too short to tell."""


def steady(points: Sequence[Point]) -> Steady:
    """Steady state of `points`, which are of one series and in order of time; raises ValueError when there are none."""
    values = [point.value for point in points]
    if not values:
        raise ValueError("steady() got no points; a series needs at least one")
    if len(values) < SMALLEST_COUNT:
        return _summary(values, from_seconds=None, drift_ratio=0.0)
    size = max(1, len(values) // NUM_BATCHES)
    level = _running_median(values) if size == 1 else [median(batch) for batch in _batches(values, size)]
    first = _truncation(level) * size
    kept = values[first:]
    drift, noise = _drift(kept, run_length=len(values))
    bound = SHORT_DRIFT_RATIO if len(values) < SHORT_COUNT else DRIFT_RATIO
    if abs(drift) > max(bound, noise):
        return _summary(values, from_seconds=None, drift_ratio=drift)
    return _summary(kept, from_seconds=points[first].at_seconds, drift_ratio=drift)


def measure(points: Sequence[Point], digests: Mapping[tuple[str, str, str], str] | None = None) -> list[Measurement]:
    """One `Measurement` for each (device, burn, case, metric) in `points`, in the order of their first appearance.

    `digests` gives the digest of all products by (device, burn, case), where there is one.
    """
    series: defaultdict[tuple[str, str, str, str], list[Point]] = defaultdict(list)
    for point in points:
        series[point.device, point.burn, point.case, point.metric].append(point)
    measurements = []
    for (device, burn, case, metric), unordered in series.items():
        ordered = sorted(unordered, key=lambda point: point.at_seconds)
        state = steady(ordered)
        measurements.append(
            Measurement(
                device=device,
                burn=burn,
                case=case,
                metric=metric,
                value=state.value,
                spread_ratio=state.spread_ratio,
                steady_from_seconds=state.from_seconds,
                digest=(digests or {}).get((device, burn, case)),
                series=tuple(ordered),
            )
        )
    return measurements


def steady_points(measurement: Measurement) -> tuple[Point, ...]:
    """The points that `Measurement.value` is the median of."""
    begin = measurement.steady_from_seconds
    if begin is None:
        return measurement.series
    return tuple([point for point in measurement.series if point.at_seconds >= begin])


def total_rate(measurement: Measurement) -> float:
    """Work over time in the steady part: the mean of its points, each weighed by the time that it worked.

    A median does not see a device that works at a third of its rate for a second in four; whoever waits for it does.
    The first interval counts as long as the others usually are. `value` where there are no points.
    """
    points = steady_points(measurement)
    lengths = [later.at_seconds - earlier.at_seconds for earlier, later in pairwise(points)]
    whole = [median(lengths) if lengths else 1.0, *lengths]
    weights = [length * point.busy_ratio for length, point in zip(whole, points, strict=False)]
    total = sum(weights)
    if not points or total <= 0:
        return measurement.value
    return sum([point.value * weight for point, weight in zip(points, weights, strict=True)]) / total


def slow_share(measurement: Measurement, below_ratio: float) -> float:
    """Share of the steady part's points that are below `below_ratio` of its median; 0 where there are no points."""
    points = steady_points(measurement)
    return sum(point.value < below_ratio * measurement.value for point in points) / max(1, len(points))


def standard_error_ratio(measurement: Measurement) -> float:
    """Standard error of the measurement's value, relative to it: what noise alone moves it by.

    A series shorter than `SMALLEST_COUNT` can't tell its own noise (one point shows none at all), so there it is at
    least `SHORT_NOISE_RATIO` a point.
    """
    num_points = max(1, len(steady_points(measurement)))
    sigma = _SIGMA_OF_MAD * measurement.spread_ratio
    if num_points < SMALLEST_COUNT:
        sigma = max(sigma, SHORT_NOISE_RATIO)
    return _MEDIAN_ERROR * sigma / sqrt(num_points)


def robust_sigma(values: Sequence[float]) -> float:
    """Standard deviation estimated from the median absolute deviation, which one outlier does not move."""
    middle = median(values)
    return _SIGMA_OF_MAD * median(abs(value - middle) for value in values)


def _summary(values: Sequence[float], *, from_seconds: float | None, drift_ratio: float) -> Steady:
    middle = median(values)
    deviation = median(abs(value - middle) for value in values)
    return Steady(
        value=middle,
        spread_ratio=deviation / abs(middle) if middle else 0.0,
        from_seconds=from_seconds,
        drift_ratio=drift_ratio,
    )


def _batches(values: Sequence[float], size: int) -> list[Sequence[float]]:
    """Whole batches of `size` values; what is left over at the end belongs to the last."""
    count = len(values) // size
    return [values[i * size : (i + 1) * size if i < count - 1 else len(values)] for i in range(count)]


def _running_median(values: Sequence[float]) -> list[float]:
    inner = [median(values[i - 1 : i + 2]) for i in range(1, len(values) - 1)]
    return [median((values[0], inner[0], inner[-1])), *inner, median((values[-1], inner[-1], inner[0]))]


def _truncation(values: Sequence[float]) -> int:
    """How many values MSER drops: the d <= n/2 with the least sum((x - mean)^2) / (n - d)^2; the least such d."""
    centre = median(values)
    total = squares = 0.0
    best_error, best_first = float("inf"), 0
    for first in range(len(values) - 1, -1, -1):
        offset = values[first] - centre
        total += offset
        squares += offset * offset
        count = len(values) - first
        if first > len(values) // 2:
            continue
        error = max(0.0, squares - total * total / count) / (count * count)
        if error <= best_error:
            best_error, best_first = error, first
    return best_first


def _drift(kept: Sequence[float], *, run_length: int) -> tuple[float, float]:
    """Change of level over the whole run and what noise may give, both relative to the median of `kept`."""
    middle = median(kept)
    if not middle:
        return 0.0, 0.0
    size = max(1, len(kept) // 3)
    rest = len(kept) - size
    thirds = [median(kept[:size]), median(kept[size:rest] or kept), median(kept[rest:])]
    changes = [b - a for a, b in pairwise(thirds)] + [thirds[2] - thirds[0]]
    change = max(changes, key=abs)
    error = _MEDIAN_ERROR * _noise(kept) / sqrt(size)
    carried = run_length / (len(kept) - size) if run_length >= SHORT_COUNT else 1.0
    return change / middle * carried, NUM_ERRORS * sqrt(2) * error / abs(middle) * carried


def _noise(values: Sequence[float]) -> float:
    """Standard deviation about any straight line, from second differences (their variance is six times it)."""
    if len(values) < _LEAST_SECOND_DIFFERENCES:
        return 0.0
    second = [abs(values[i - 1] - 2 * values[i] + values[i + 1]) for i in range(1, len(values) - 1)]
    return _SIGMA_OF_MAD * median(second) / sqrt(6)
