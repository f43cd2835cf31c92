"""JSON documents: a Hugging Face trainer_state.json, Megatron's golden values, a list of records. Read whole."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fryer.replay.columns import VALUES, layout_of, unknown
from fryer.replay.points import number, progress
from fryer.replay.records import read_list
from fryer.replay.words import Item, Options, Reading, Unreadable
from watchdog.detectors.training.words import Point

LIMIT_BYTES = 256 << 20
"""A trainer state of a million steps is as large; longer logs are kept as JSON lines."""
_NOT_LOGGED = "nan"
"""What Megatron's golden values hold where nothing was logged, as text: a loss that is NaN ends such a test."""


def load(path: Path) -> Any:
    """The document. Raises `Unreadable` for one that is cut off, or too large to read whole."""
    if path.stat().st_size > LIMIT_BYTES:
        raise Unreadable(f"it is a JSON document of more than {LIMIT_BYTES >> 20} MiB: write it as one record a line")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it begins as a JSON document and is none, or was cut off: {error}") from error


def format_of(document: Any) -> str:
    """What a document is, empty for an unknown one."""
    if isinstance(document, dict) and isinstance(document.get("log_history"), list):
        return "trainer_state.json"
    if isinstance(document, dict) and any(_values(each) is not None for each in document.values()):
        return "Megatron golden values"
    if isinstance(document, list) and any(isinstance(each, dict) for each in document):
        return "JSON list"
    return ""


def read(document: Any, options: Options, reading: Reading) -> Iterator[Item]:
    """Everything in a document whose format is known."""
    kind = format_of(document)
    if kind == "trainer_state.json":
        # The last record sums up the whole training, and is no step.
        history = [each for each in document["log_history"] if isinstance(each, dict) and "train_runtime" not in each]
        return read_list(history, options, reading)
    if kind == "Megatron golden values":
        return _golden(document, options, reading)
    return read_list(document, options, reading)


def _values(entry: Any) -> Mapping[str, Any] | None:
    """Step -> value of one metric, of the newer shape (a mapping) or the older (a list and an interval)."""
    values = entry.get("values") if isinstance(entry, dict) else None
    if isinstance(values, dict):
        return values
    if isinstance(values, list) and isinstance(entry, dict):
        start, interval = entry.get("start_step"), entry.get("step_interval")
        if isinstance(start, int) and isinstance(interval, int):
            return {str(start + index * interval): value for index, value in enumerate(values)}
    return None


def _golden(document: Mapping[str, Any], options: Options, reading: Reading) -> Iterator[Item]:
    names = [name for name, entry in document.items() if _values(entry) is not None]
    layout = layout_of(names, options.columns)
    places = [place for place in layout.numbers if place.field in VALUES]
    if not places:
        raise unknown(names, layout)
    points: dict[int, dict[str, float]] = {}
    for place in places:
        reading.columns[place.field] = place.column
        for key, cell in (_values(document[place.column]) or {}).items():
            try:
                at, value = progress(key), None if cell == _NOT_LOGGED else number(cell)
            except ValueError:
                reading.unread(0)
                continue
            if at is not None and value is not None:
                points.setdefault(at, {})[place.field] = value * place.factor
    for step in sorted(points):
        yield "", Point(step=step, **points[step])  # type: ignore[arg-type]  # the names are those of VALUES
