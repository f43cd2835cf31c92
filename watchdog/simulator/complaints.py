"""Complaints of a scenario: those of any file, and what the ranges of `kinds` allow."""

from math import isfinite

from watchdog.simulator.kinds import Range
from watchdog.vocabulary.complaints import Complaints
from watchdog.vocabulary.errors import nearest


class ScenarioComplaints(Complaints):
    """Everything found wrong in one scenario so far."""

    def value(self, key: str, value: object, allowed: Range) -> object | None:
        """`value` in the type and range of `allowed`, or None and a complaint."""
        wanted = (int, float) if allowed.type is float else (allowed.type,)
        if not isinstance(value, wanted) or (isinstance(value, bool) and allowed.type is not bool):
            self.add(key, value, str(allowed))
            return None
        number = value if isinstance(value, int | float) else None
        if (number is not None and not _inside(number, allowed)) or (allowed.words and value not in allowed.words):
            self.add(key, value, str(allowed) + (nearest(str(value), allowed.words) if allowed.words else ""))
            return None
        return float(value) if allowed.type is float else value  # type: ignore[arg-type]


def _inside(number: float, allowed: Range) -> bool:
    if not isfinite(number):
        return False
    if allowed.low is not None and (number <= allowed.low if allowed.above else number < allowed.low):
        return False
    return allowed.high is None or number <= allowed.high
