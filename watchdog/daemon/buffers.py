"""The last minutes of every metric, in memory, in the shape that detectors read. One thread uses it: the loop."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from watchdog.daemon.recent_events import RecentEvents
from watchdog.vocabulary.samples import Event, Row, Series, Window
from watchdog.vocabulary.subjects import Subject

_STALE_SHARE = 0.25
"""A column is cut once this share of it is older than the window: cutting at each row would copy it each time."""
MISSED_READINGS = 3
LEAST_PATIENCE_SECONDS = 15.0
"""A value is overdue after so many readings that did not come, and so long at least."""


@dataclass(slots=True)
class _Column:
    at: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))

    @property
    def patience_seconds(self) -> float:
        """How long the last value holds: by the time between the last two."""
        rhythm = self.at[-1] - self.at[-2] if len(self.at) > 1 else 0.0
        return max(MISSED_READINGS * rhythm, LEAST_PATIENCE_SECONDS)

    def append(self, at: float, value: float) -> None:
        self.at.append(at)
        self.values.append(value)

    def cut(self, before: float) -> None:
        """Forget what is older than `before`, once that is worth the copy."""
        if self.at[0] >= before:
            return
        first = bisect_left(self.at, before)
        if first > _STALE_SHARE * len(self.at):
            del self.at[:first]
            del self.values[:first]


class Buffers:
    """Rows by metric and subject, events and facts."""

    def __init__(self, window_seconds: float) -> None:
        """Keep so much of the past."""
        self._window_seconds = window_seconds
        self._columns: dict[str, dict[Subject, _Column]] = {}
        self._events = RecentEvents()
        self._facts: dict[Subject, dict[str, object]] = {}

    def newest(self, now: float) -> dict[Subject, Row]:
        """The last value of every metric, as one row a subject; what is overdue by its own rhythm is absent."""
        found: dict[Subject, tuple[float, dict[str, float]]] = {}
        for metric, subjects in self._columns.items():
            for subject, column in subjects.items():
                if now - column.at[-1] <= column.patience_seconds:
                    at, values = found.get(subject, (0.0, {}))
                    values[metric] = column.values[-1]
                    found[subject] = (max(at, column.at[-1]), values)
        return {subject: Row(subject=subject, at=at, values=values) for subject, (at, values) in found.items()}

    @property
    def facts(self) -> Mapping[Subject, Mapping[str, object]]:
        """All facts so far."""
        return {subject: dict(facts) for subject, facts in self._facts.items()}

    def add_rows(self, rows: Iterable[Row]) -> None:
        """Rows of one subject come in order of time."""
        for row in rows:
            for metric, value in row.values.items():
                column = self._columns.setdefault(metric, {}).setdefault(row.subject, _Column())
                column.append(row.at, value)
                column.cut(row.at - self._window_seconds)

    def forget(self) -> None:
        """Forget all readings; facts and events stay."""
        self._columns.clear()

    def add_events(self, events: Iterable[Event]) -> None:
        """In order of time."""
        self._events.add(events)

    def add_facts(self, facts: Mapping[Subject, Mapping[str, object]]) -> None:
        """New facts are laid over the old ones."""
        for subject, more in facts.items():
            self._facts.setdefault(subject, {}).update(more)

    def window(self, now: float) -> Window:
        """What is known up to `now`. It is valid until the next row is added."""
        oldest = now - self._window_seconds
        self._events.forget(oldest)
        self._drop_silent(oldest)
        columns = {
            metric: {subject: Series(column.at, column.values) for subject, column in subjects.items()}
            for metric, subjects in self._columns.items()
        }
        return Window(now=now, columns=columns, events=tuple(self._events), facts=self._facts)

    def _drop_silent(self, oldest: float) -> None:
        """Runs end, metrics cease: what was not read within the window takes no memory."""
        for metric in list(self._columns):
            subjects = self._columns[metric]
            for subject in [one for one, column in subjects.items() if column.at[-1] < oldest]:
                del subjects[subject]
            if not subjects:
                del self._columns[metric]
