"""JSON as tools leave it: with log lines before it, or cut off. Every way of being broken becomes `Malformed`. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from math import isfinite

from fryer.imports.facts import Malformed

_START = re.compile(r"^\s*[{\[]", re.MULTILINE)


def load(text: str) -> object:
    """The one JSON document in `text`, which may stand after lines of a log; raises `Malformed` for none or two."""
    start = _START.search(text)
    if start is None:
        raise Malformed("there is no JSON in it")
    body = text[start.start() :].strip()
    try:
        found, end = json.JSONDecoder(parse_constant=_no_number).raw_decode(body)
    except json.JSONDecodeError as error:
        raise Malformed(_broken(body, error)) from None
    except (ValueError, RecursionError) as error:
        raise Malformed(f"its JSON can't be read: {error}") from None
    if _START.search(body[end:]):
        raise Malformed("it holds several JSON documents: give each a file of its own")
    return found


def _broken(body: str, error: json.JSONDecodeError) -> str:
    if not body[error.pos :].strip() or "Unterminated" in error.msg:
        return f"its JSON is cut off at line {body.count(chr(10)) + 1}: the rest is missing"
    return f"its JSON breaks at line {error.lineno}, column {error.colno}: {error.msg}"


def _no_number(_: str) -> None:
    return None


def objects(value: object) -> Iterator[Mapping[str, object]]:
    """The objects of a list; nothing for what is no list."""
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))


def child(value: object, key: str) -> object:
    """`value[key]` of an object; None for anything else."""
    return value.get(key) if isinstance(value, dict) else None


def number(value: object) -> float | None:
    """A finite number, also one written as a string; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if isfinite(found) else None


def whole(value: object) -> int | None:
    """A whole number, also one written as a string; None for anything else."""
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def words(value: object) -> str:
    """A string; empty for anything else."""
    return value if isinstance(value, str) else ""
