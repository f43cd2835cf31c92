"""How long a state has lasted, by the readings that show it. It judges nothing.

Durations run from reading to reading, never to `now`: one reading has lasted 0 s, however long ago it was taken.
"""

from collections.abc import Callable
from dataclasses import dataclass

from watchdog.vocabulary.samples import Series

GAP_SECONDS = 150.0
"""A longer hole between two readings ends a state, since nobody saw what was in it. Two periods and a half of the
slowest collectors, which look once a minute."""


@dataclass(frozen=True, slots=True)
class Held:
    """A state that the newest reading still shows."""

    since: float
    """First reading of the unbroken row of readings that show it, Unix seconds."""
    until: float
    """The newest reading."""

    @property
    def seconds(self) -> float:
        """From first to newest reading; 0 for a single one."""
        return self.until - self.since


def held(series: Series, test: Callable[[float], bool]) -> Held | None:
    """How long `test` has been true of every reading up to the newest; None where it is false of that one."""
    at, values = series.at, series.values
    first = len(values)
    while first and test(values[first - 1]) and (first == len(values) or at[first] - at[first - 1] <= GAP_SECONDS):
        first -= 1
    return None if first == len(values) else Held(at[first], at[-1])


def together(*states: Held | None) -> Held | None:
    """When all the states held at once, up to now; None where one does not hold, or they never met."""
    known = [state for state in states if state is not None]
    if not known or len(known) < len(states):
        return None
    since, until = max(state.since for state in known), min(state.until for state in known)
    return Held(since, until) if since <= until else None
