"""What is wrong with a file, collected, so that a person sees all of it at once. Reads nothing."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite

from watchdog.vocabulary.errors import UsageError, nearest
from watchdog.vocabulary.units import parse_duration


@dataclass(slots=True)
class Complaints:
    """Everything found wrong in one file so far."""

    file: str
    found: list[str] = field(default_factory=list)

    def add(self, key: str, found: object, allowed: str) -> None:
        """`key` holds `found`, where only `allowed` is right."""
        self.found.append(f"{key} is {found!r}; allowed: {allowed}")

    def missing(self, key: str, allowed: str) -> None:
        """`key` is not there and must be."""
        self.found.append(f"{key} is missing; give {allowed}")

    def unknown(self, where: str, found: Iterable[str], known: Iterable[str]) -> None:
        """Complain of each key of `found` that is not among `known`."""
        names = list(known)
        for key in found:
            if key not in names:
                self.found.append(f"{_path(where, key)} is no key here{nearest(key, names)}")

    def table(self, key: str, value: object) -> dict[str, object]:
        """`value` as a table, or an empty one and a complaint."""
        if isinstance(value, dict):
            return value
        self.add(key, value, "a table")
        return {}

    def duration(self, key: str, value: object) -> float | None:
        """Seconds in ``"1m30s"`` or a number, or None and a complaint."""
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value >= 0:
            return float(value)
        try:
            if isinstance(value, str):
                return parse_duration(value)
        except UsageError:
            pass  # complained of below, in the words of this file
        self.add(key, value, 'a duration such as "10s", "1m30s" or "2h"')
        return None

    def raise_if_any(self) -> None:
        """Raise one `UsageError` with all complaints, a line each."""
        if self.found:
            things = "1 thing is" if len(self.found) == 1 else f"{len(self.found)} things are"
            lines = "".join(f"\n  {complaint}" for complaint in self.found)
            raise UsageError(f"{self.file}: {things} wrong{lines}")


def _path(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
