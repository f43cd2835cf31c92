"""JSON lines: a record a line, ours (metrics.jsonl of a trainer) or anybody's with known keys; also a JSON list."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fryer.replay.columns import Layout, layout_of, unknown
from fryer.replay.points import Maker
from fryer.replay.trainer_records import TYPES, TrainerRecords
from fryer.replay.words import Item, Options, Reading, Unreadable

Convert = Callable[[Mapping[str, Any]], Iterable[Item]]


def read(path: Path, options: Options, reading: Reading) -> Iterator[Item]:
    """Everything in a file of JSON lines. A last line that was cut off is counted, and does no harm."""
    convert = _Converter(options, reading)
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            record = _parse(text)
            if record is None:
                _refuse_foreign(text, line)
                reading.unread(line)
                continue
            try:
                yield from convert(record)
            except (ValueError, TypeError, KeyError, OverflowError):
                reading.unread(line)
    convert.finish()


def read_list(records: Iterable[Any], options: Options, reading: Reading) -> Iterator[Item]:
    """Everything in a JSON document that is a list of records."""
    convert = _Converter(options, reading)
    for number, record in enumerate(records, start=1):
        try:
            yield from convert(record) if isinstance(record, dict) else ()
        except (ValueError, TypeError, KeyError, OverflowError):
            reading.unread(number)
    convert.finish()


def _parse(text: bytes) -> Mapping[str, Any] | None:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):  # RecursionError: a thousand brackets, which no record has
        return None
    return record if isinstance(record, dict) else None


def _refuse_foreign(text: bytes, line: int) -> None:
    """Raise `Unreadable` where something else than JSON goes on behind records; a cut-off record is no such thing."""
    if (
        not text.lstrip().startswith((b"{", b"[", b'"'))
        and text.endswith(b"\n")
        and text.count(b",") + text.count(b":")
    ):
        shown = text[:60].decode(errors="replace").strip()
        raise Unreadable(
            f"it is mixed: it begins with JSON lines, and line {line} ({shown!r}) is of another format; "
            "split it into a file for each"
        )


class _Converter:
    """Records of any keys to items; layouts of keys are found once."""

    def __init__(self, options: Options, reading: Reading) -> None:
        self.options, self.reading = options, reading
        self.known: dict[tuple[str, ...], Maker | None] = {}
        self.trainer = TrainerRecords(reading)
        self.closest: Layout | None = None

    def __call__(self, record: Mapping[str, Any]) -> Iterable[Item]:
        if record.get("type") in TYPES and "at" in record:
            return self.trainer(record)
        flat = _flat(record) if any(isinstance(value, dict) for value in record.values()) else record
        keys = tuple(flat)
        if keys not in self.known:
            self.known[keys] = self._layout(keys)
        maker = self.known[keys]
        return maker.make(list(flat.values())) if maker else ()

    def finish(self) -> None:
        """Raise `Unreadable` where no record had known keys."""
        if not self.reading.columns and self.closest is not None:
            raise unknown(self.closest.columns, self.closest)

    def _layout(self, keys: tuple[str, ...]) -> Maker | None:
        layout = layout_of(keys, self.options.columns)
        if not layout.is_known:
            best = self.closest
            if best is None or len(layout.fields) > len(best.fields):
                self.closest = layout
            return None
        for place in layout.numbers:
            self.reading.columns.setdefault(place.field, place.column)
        return Maker(layout)


def _flat(record: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested keys joined: ``{"train": {"loss": 2}}`` is ``{"train/loss": 2}``."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}/")
        else:
            found[f"{before}{key}"] = value
    return found
