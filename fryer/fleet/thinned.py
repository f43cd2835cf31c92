"""Evidence small enough to be sent: of long series fewer points, so that a soak of days is a message of a few MB. Pure.

Steady states are found before, over all points. Of what a burn measured the extremes of each stretch stay; readings
stay evenly spaced, so that shares of time (throttled, busy) and growing counters are what they were.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from fryer.evidence import Measurement, NodeEvidence
from fryer.outputs.thinning import thin

MOST_POINTS = 600
"""Of one series, and readings of one device: ten minutes are sent whole."""
MOST_RECORDS = 20_000
"""Digests and mismatches each; a device that is wrong in more is wrong."""

T = TypeVar("T")


def thinned(evidence: NodeEvidence, most: int = MOST_POINTS) -> NodeEvidence:
    """The same evidence with at most `most` (2 or more) points of each series and readings of each device."""
    return replace(
        evidence,
        measurements=tuple(_measurement(one, most) for one in evidence.measurements),
        gpu_readings={name: _spaced(readings, most) for name, readings in evidence.gpu_readings.items()},
        host_readings=_spaced(evidence.host_readings, most),
        digests=evidence.digests[:MOST_RECORDS],
        mismatches=evidence.mismatches[:MOST_RECORDS],
        problems=evidence.problems[:MOST_RECORDS],
    )


def _measurement(measurement: Measurement, most: int) -> Measurement:
    series = measurement.series
    if len(series) <= most:
        return measurement
    kept = thin(measurement.metric, range(len(series)), [point.value for point in series], most)
    return replace(measurement, series=tuple(series[int(index)] for index in kept.x))


def _spaced(rows: Sequence[T], most: int) -> tuple[T, ...]:
    """At most `most` of `rows`, evenly spaced, the first and the last among them."""
    count = len(rows)
    if count <= most:
        return tuple(rows)
    return tuple(rows[place * (count - 1) // (most - 1)] for place in range(most))
