"""One table of plan.toml as a frozen dataclass: types checked field by field, everything wrong collected."""

import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from trainer.plan.ranges import Range
from watchdog.vocabulary.complaints import Complaints
from watchdog.vocabulary.errors import nearest

T = TypeVar("T")
_COUNT = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)([KMBTkmbt]?)")
_COUNTS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldReader:
    """Reads tables of one file: what is wrong goes to `complaints`, what is right to `good`, key by key."""

    complaints: Complaints
    good: dict[str, Any] = field(default_factory=dict)
    """By dotted key, with defaults: so that what holds between keys can be judged where others are wrong."""

    def read(
        self,
        kind: type[T],
        table: Mapping[str, Any],
        where: str,
        *,
        ranges: Mapping[str, Range],
        given: Mapping[str, Any] | None = None,
        known: Sequence[str] = (),
    ) -> T | None:
        """An instance of `kind`, or None after complaints. `given`: fields that don't come from the table; `known`:
        keys of the table that the caller reads itself."""
        given = given or {}
        hints = typing.get_type_hints(kind)
        own = [each for each in fields(kind) if each.init and each.name not in given]  # type: ignore[arg-type]
        self.complaints.unknown(where, table, [*(key_of(each.name) for each in own), *known])
        before = len(self.complaints.found)
        values = dict(given)
        for each in own:
            key = key_of(each.name)
            path = f"{where}.{key}" if where else key
            if key in table:
                values[each.name] = self.value(path, table[key], hints[each.name], ranges.get(each.name))
            elif each.default is not MISSING:
                self.good[path] = each.default
            elif each.default_factory is MISSING:
                self.complaints.missing(path, allowed_by_type(hints[each.name]))
        return kind(**values) if len(self.complaints.found) == before else None

    def value(self, path: str, raw: object, hint: Any, allowed: Range | None = None) -> Any:
        """`raw` as the type `hint` and within its range, or None and a complaint."""
        found = read_value(path, raw, hint, self.complaints)
        if found is None:
            return None
        if allowed is not None and not allowed.holds(found):
            hint_of_word = nearest(str(found), allowed.words) if allowed.words else ""
            self.complaints.add(path, raw, allowed.text + (hint_of_word if "did you mean" in hint_of_word else ""))
            return None
        self.good[path] = found
        return found


def key_of(name: str) -> str:
    """Of a field, in TOML: ``is_async`` is written ``async``."""
    return name.removeprefix("is_")


def read_value(key: str, value: object, hint: Any, complaints: Complaints) -> Any:
    """`value` as the type `hint`, or None and a complaint."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    reader = _READERS.get(hint) or (_word(hint) if isinstance(hint, type) and issubclass(hint, StrEnum) else None)
    assert reader is not None, hint
    found = reader(value)
    if found is None:
        complaints.add(key, value, allowed_by_type(hint))
    return found


def allowed_by_type(hint: Any) -> str:
    """What a type lets a key hold, in words."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return " or ".join(f'"{word}"' for word in hint)
    return {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Path: "a path"}.get(
        hint, "a table"
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        return float(value)
    return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _path(value: object) -> Path | None:
    return Path(value) if isinstance(value, str) and value else None


def _word(kind: type[StrEnum]) -> Callable[[object], Any]:
    def read(value: object) -> Any:
        return kind(str(value)) if value in list(kind) else None

    return read


_READERS: dict[Any, Callable[[object], Any]] = {int: _whole, float: _number, str: _text, bool: _flag, Path: _path}


def read_count(value: object) -> int | None:
    """A number of tokens: whole, or a text such as ``"8.14T"`` or ``"52B"``; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if value > 0 else None
    written = _COUNT.fullmatch(value) if isinstance(value, str) else None
    if written is None:
        return None
    count = Decimal(written[1]) * _COUNTS[written[2].upper()]
    return int(count) if count > 0 and count == int(count) else None
