"""Results as JSON that a Fryer reads back exactly; and a place to put one when the store fails (`spool`).

What people and scripts are shown of a run is another thing: `fryer.outputs.documents`.

    {"schema": "fryer/result", "version": 1, "info": …, "seconds": …, "evidence": […], "verdicts": […]}

Objects have the names of the dataclasses' fields. Strict JSON has no NaN, so a number that is none is one of the
strings ``NaN``, ``Infinity``, ``-Infinity``. A field with a default may be missing; an unknown one is refused.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from fryer.result import RunResult
from watchdog.vocabulary.errors import StoreError, UsageError

SCHEMA = "fryer/result"
VERSION = 1

T = TypeVar("T")
_PLAIN = frozenset({str, int, bool, NoneType})
_FLOAT = frozenset({float})
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class DocumentError(ValueError):
    """A document that doesn't say what its schema asks for: where, and what was found there."""


def encode(value: object) -> Any:  # noqa: PLR0911 - one line a kind
    """`value` (dataclasses, tuples, mappings, verdicts and plain values) as what `json.dumps` takes."""
    kind: Any = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, float):
        return _encode_float(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bool | int | str):
        return value
    if is_dataclass(value):
        return {name: encode(getattr(value, name)) for name in field_names(kind)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return _encode_list(value)
    # A judge's evidence is JSON-ready by contract. Should it once not be, its text is better than an hour's run lost.
    return str(value)


def _encode_list(values: Sequence[object]) -> list[Any]:
    """Most lists are columns of plain values, or of plain numbers, and stay as they are."""
    kinds = set(map(type, values))
    if kinds <= _PLAIN or (kinds == _FLOAT and all(map(math.isfinite, cast("Sequence[float]", values)))):
        return list(values)
    return [encode(value) for value in values]


def _encode_float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def decode(kind: type[T], value: object, where: str = "") -> T:
    """What `encode` made `value` of, as the dataclass or plain type `kind`; raises `DocumentError`."""
    decoded: T = _decode(kind, value, where or kind.__name__)
    return decoded


def _decode(kind: Any, value: object, where: str) -> Any:  # noqa: PLR0911 - one line a kind
    if kind is object:
        return value
    if is_dataclass(kind):
        return _decode_fields(kind, value, where)
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        present = [option for option in get_args(kind) if option is not NoneType]
        return None if value is None else _decode(present[0], value, where)
    if origin is tuple:
        item = get_args(kind)[0]
        return tuple(_decode(item, each, f"{where}[{index}]") for index, each in enumerate(_a(list, value, where)))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        item = get_args(kind)[1]
        return {key: _decode(item, each, f"{where}.{key}") for key, each in _a(dict, value, where).items()}
    if issubclass(kind, Enum):
        return _decode_choice(kind, value, where)
    return _decode_float(value, where) if kind is float else _a(kind, value, where)


def _decode_fields(kind: Any, value: object, where: str) -> Any:
    found = _a(dict, value, where)
    known = field_types(kind)
    if unknown := sorted(found.keys() - known.keys()):
        raise DocumentError(f"{where} has a field {unknown[0]!r} that this Fryer doesn't know")
    if missing := [
        field.name
        for field in fields(kind)
        if field.name not in found and field.default is MISSING and field.default_factory is MISSING
    ]:
        raise DocumentError(f"{where} has no field {missing[0]!r}")
    return kind(**{name: _decode(known[name], each, f"{where}.{name}") for name, each in found.items()})


@cache
def field_names(kind: Any) -> tuple[str, ...]:
    """Names of the fields of the dataclass `kind`, in order."""
    return tuple(field.name for field in fields(kind))


@cache
def field_types(kind: Any) -> Mapping[str, Any]:
    """Types of the fields of the dataclass `kind`, by name, resolved."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _decode_choice(kind: type[Enum], value: object, where: str) -> Enum:
    try:
        return kind(value)
    except ValueError as error:
        raise DocumentError(f"{where} is {value!r}, none of {', '.join(str(one.value) for one in kind)}") from error


def _decode_float(value: object, where: str) -> float:
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DocumentError(f"{where} is {value!r:.60}, no number")
    return float(value)


def _a(kind: type, value: object, where: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise DocumentError(f"{where} is {value!r:.60}, no {kind.__name__}")
    return value


def result_to_json(result: RunResult) -> dict[str, Any]:
    """`result` as a document for `json.dumps`."""
    encoded: dict[str, Any] = encode(result)
    return {"schema": SCHEMA, "version": VERSION} | encoded


def result_from_json(document: object) -> RunResult:
    """The result in `document`; raises `DocumentError`."""
    found = dict(_a(dict, document, "the document"))
    if (schema := found.pop("schema", None)) != SCHEMA:
        raise DocumentError(f"its schema is {schema!r}, not {SCHEMA!r}")
    if (version := found.pop("version", None)) != VERSION:
        raise DocumentError(f"its version is {version!r}, and this Fryer reads version {VERSION}")
    return decode(RunResult, found, "result")


def spool(result: RunResult, directory: Path) -> Path:
    """Write `result` to ``fryer-RUN.json`` in `directory`, whole or not at all, and on the disk when this returns.

    For when the store fails at the end of a run: ``fryer history --import FILE`` takes it in later. Raises
    `StoreError`.
    """
    path = directory / f"fryer-{result.info.run_id}.json"
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    text = json.dumps(result_to_json(result), allow_nan=False)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        _sync(directory)
    except OSError as error:
        _discard(unfinished)
        raise StoreError(
            f"can't write the result of run {result.info.run_id} to {path}: {error.strerror or error}; "
            f"give another directory with --state DIR"
        ) from error
    return path


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _discard(unfinished: Path) -> None:
    try:
        unfinished.unlink(missing_ok=True)
    except OSError:  # the directory is what failed, and the error on its way says so
        return


def unspool(path: Path) -> RunResult:
    """The result that `spool` wrote to `path`; raises `UsageError` for a file that is none."""
    try:
        return result_from_json(json.loads(path.read_bytes()))
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror or error}") from error
    except DocumentError as error:
        raise UsageError(f"{path} holds no result of `fryer run`: {error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON document: {error}") from error
