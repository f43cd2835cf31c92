"""Readings rolled up by the minute: arithmetic, and an hour of it as bytes.

A minute of a metric is how many readings it had, their sum (added in the order in which they came), least, greatest
and last to come. Readings are merged in as they come, in any number of portions and out of order: the result is that
of one portion. NaN counts, and makes the mean NaN; least and greatest are of the others, where there are any.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from watchdog.store.numbers import pack_table, unpack_table
from watchdog.store.packing import PackingError
from watchdog.vocabulary.subjects import Subject

MINUTE_SECONDS = 60
HOUR_SECONDS = 3600
_STATISTICS = ("count", "sum", "least", "greatest", "last")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One metric in one minute."""

    count: int
    mean: float
    least: float
    greatest: float
    last: float
    """The last to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """One subject in one minute."""

    subject: Subject
    at: float
    """Where it begins, Unix seconds."""
    values: Mapping[str, Summary]


Cell = list[float]
"""`_STATISTICS` of one metric in one minute."""


@dataclass(slots=True)
class HourOfMinutes:
    """The minutes of one subject in one hour, being added to."""

    hour: int
    """Hours since 1970."""
    cells: dict[str, dict[int, Cell]] = field(default_factory=dict)
    """By metric and minute of the hour."""

    def add(self, at: float, values: Mapping[str, float]) -> None:
        """Merge in a reading of this hour."""
        minute = int((at - self.hour * HOUR_SECONDS) // MINUTE_SECONDS)
        for metric, value in values.items():
            minutes = self.cells.setdefault(metric, {})
            cell = minutes.get(minute)
            if cell is None:
                minutes[minute] = [1.0, value, value, value, value]
                continue
            cell[0] += 1.0
            cell[1] += value
            if value < cell[2] or math.isnan(cell[2]):
                cell[2] = value
            if value > cell[3] or math.isnan(cell[3]):
                cell[3] = value
            cell[4] = value

    def minutes(self, subject: Subject) -> list[Minute]:
        """What it amounts to, oldest first."""
        numbers = sorted({minute for minutes in self.cells.values() for minute in minutes})
        return [
            Minute(
                subject=subject,
                at=float(self.hour * HOUR_SECONDS + number * MINUTE_SECONDS),
                values={
                    metric: _summary(minutes[number]) for metric, minutes in self.cells.items() if number in minutes
                },
            )
            for number in numbers
        ]


def hour_of(at: float) -> int:
    """Hours since 1970."""
    return math.floor(at / HOUR_SECONDS)


def pack_minutes(hour: HourOfMinutes) -> bytes:
    """`hour` as bytes: `numbers.pack_table` of sixty rows, with five columns a metric: ``METRIC.count`` and so on."""
    columns: dict[str, list[float | None]] = {}
    for metric, minutes in hour.cells.items():
        cells = [minutes.get(minute) for minute in range(60)]
        for place, statistic in enumerate(_STATISTICS):
            columns[f"{metric}.{statistic}"] = [None if cell is None else cell[place] for cell in cells]
    return pack_table(60, columns)


def unpack_minutes(packed: bytes, hour: int) -> HourOfMinutes:
    """The hour in `packed`; raises `PackingError`."""
    columns, _ = unpack_table(packed)
    unpacked = HourOfMinutes(hour)
    for name in columns:
        metric, _, statistic = name.rpartition(".")
        if statistic != _STATISTICS[0]:
            continue
        try:
            rows = zip(*(columns[f"{metric}.{each}"] for each in _STATISTICS), strict=True)
        except KeyError as error:
            raise PackingError(f"an hour of {len(packed)} bytes lacks the column {error}") from error
        unpacked.cells[metric] = {
            minute: [value for value in row if value is not None] for minute, row in enumerate(rows) if None not in row
        }
    return unpacked


def _summary(cell: Cell) -> Summary:
    count, total, least, greatest, last = cell
    return Summary(count=int(count), mean=total / count, least=least, greatest=greatest, last=last)
