"""Evidence small enough to be sent: of very long series fewer points, so that a soak of days is some tens of MB. Pure.

The verdict must come out the same. Steady states are found before, over all points, and a run of hours is sent whole.
Of a longer one, points stay evenly spaced: judges ask for shares of time. Of a GPU's readings all stay at which
something changed that is no plain measurement (reasons of slowdown, errors, links), the extremes of the rest, and
enough between them to show that somebody looked.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import TypeVar

from fryer.evidence import Measurement, NodeEvidence
from watchdog.collectors.readings import GpuReading

MOST_POINTS = 20_000
"""Of one series: five hours at one a second."""
FEW_READINGS = 1800
"""Of one device: half an hour is sent whole."""
SPACING_SECONDS = 10.0
"""Longest between two readings that stay. A GPU needs one in 20 s to count as watched
(`fryer.judges.limits.Limits.telemetry_readings_per_second`)."""
MOST_READINGS = 20_000
"""Of one device: two days at that spacing; beyond, they are spaced evenly, whatever changed."""
MOST_RECORDS = 20_000
"""Digests and mismatches each; a device that is wrong in more is wrong."""

T = TypeVar("T")
_MEASURED = frozenset(
    {"uuid", "at_seconds", "power_watts", "energy_joules", "temperature_celsius", "memory_temperature_celsius"}
    | {"temperature_margin_celsius", "thermal_throttle_seconds", "power_brake_seconds", "power_cap_seconds"}
    | {"sm_clock_hertz", "memory_clock_hertz", "utilization_ratio", "memory_utilization_ratio", "memory_used_bytes"}
    | {"pcie_tx_bytes_total", "pcie_rx_bytes_total"}
)
"""Fields that differ at every look. Slowdowns that the driver counts in seconds show in its reasons too."""
_state = attrgetter(*(field.name for field in fields(GpuReading) if field.name not in _MEASURED))
_EXTREMES: tuple[tuple[str, Callable[..., int]], ...] = (
    ("temperature_celsius", max),
    ("memory_temperature_celsius", max),
    ("temperature_margin_celsius", min),
    ("sm_clock_hertz", min),
)


def thinned(evidence: NodeEvidence, most_points: int = MOST_POINTS, few_readings: int = FEW_READINGS) -> NodeEvidence:
    """The same evidence with at most `most_points` (4 or more) of each series, and of `few_readings` of a device or
    more only those that matter."""
    return replace(
        evidence,
        measurements=tuple(_measurement(one, most_points) for one in evidence.measurements),
        gpu_readings={name: _readings(readings, few_readings) for name, readings in evidence.gpu_readings.items()},
        host_readings=_spaced(evidence.host_readings, most_points),
        digests=evidence.digests[:MOST_RECORDS],
        mismatches=evidence.mismatches[:MOST_RECORDS],
        problems=evidence.problems[:MOST_RECORDS],
    )


def _measurement(measurement: Measurement, most: int) -> Measurement:
    """With the lowest and the highest point: no dip is lost."""
    series = measurement.series
    if len(series) <= most:
        return measurement
    extremes = (min(series, key=lambda point: point.value), max(series, key=lambda point: point.value))
    kept = {point.at_seconds: point for point in (*_spaced(series, most - len(extremes)), *extremes)}
    return replace(measurement, series=tuple(kept[at] for at in sorted(kept)))


def _readings(readings: Sequence[GpuReading], few: int) -> tuple[GpuReading, ...]:
    count = len(readings)
    if count <= few:
        return tuple(readings)
    kept = {0, count - 1}
    last = readings[0].at_seconds
    states = [_state(reading) for reading in readings]
    for index in range(1, count):
        if states[index] != states[index - 1]:
            kept |= {index - 1, index}  # both: so long the state before it lasted
        elif index + 1 < count and readings[index + 1].at_seconds - last > SPACING_SECONDS:
            kept.add(index)
        if index in kept:
            last = readings[index].at_seconds
    for name, extreme in _EXTREMES:
        known = [index for index in range(count) if getattr(readings[index], name) is not None]
        if known:
            kept.add(extreme(known, key=lambda index: getattr(readings[index], name)))
    return _spaced([readings[index] for index in sorted(kept)], MOST_READINGS)


def _spaced(rows: Sequence[T], most: int) -> tuple[T, ...]:
    """At most `most` of `rows`, evenly spaced, the first and the last among them."""
    count = len(rows)
    if count <= most:
        return tuple(rows)
    return tuple(rows[place * (count - 1) // (most - 1)] for place in range(most))
