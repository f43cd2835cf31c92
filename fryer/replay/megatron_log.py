"""What Megatron-LM prints: ``iteration 31219/ 115311 | ... | lm loss: 5.098124E+00 | grad norm: 960.351 |``."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from fryer.replay.columns import Layout, layout_of, unknown
from fryer.replay.points import Maker
from fryer.replay.words import Item, Options, Reading

LINE = re.compile(r"\biteration +(\d+)/ *\d+ *\|")
_STAMP = re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")


def read(lines: Iterable[str], options: Options, reading: Reading) -> Iterator[Item]:
    """Everything in a log. Other lines are passed over; times of day without a zone are taken for UTC."""
    known: dict[tuple[str, ...], Maker | None] = {}
    seen: tuple[tuple[str, ...], Layout] | None = None
    for line, text in enumerate(lines, start=1):
        match = LINE.search(text)
        if match is None:
            continue
        cells = _cells(match[1], text)
        keys = tuple(cells)
        if keys not in known:
            layout = layout_of(keys, options.columns)
            seen = (keys, layout)
            known[keys] = Maker(layout) if layout.is_known else None
            for place in layout.numbers if layout.is_known else ():
                reading.columns.setdefault(place.field, place.column)
        maker = known[keys]
        try:
            yield from maker.make(list(cells.values())) if maker else ()
        except ValueError:
            reading.unread(line)
    if seen is not None and not reading.columns:
        raise unknown(*seen)


def _cells(step: str, text: str) -> dict[str, str]:
    cells = {"iteration": step}
    stamp = _STAMP.search(text)
    if stamp:
        cells["timestamp"] = str(datetime.fromisoformat(stamp[1]).replace(tzinfo=UTC).timestamp())
    for part in text.split("|")[1:]:
        name, colon, value = part.rpartition(":")
        if colon and value.strip():
            cells[name.strip()] = value.strip()
    nan = cells.get("number of nan iterations", "0")
    if nan.isdigit() and int(nan) and "lm loss" not in cells:
        # Megatron leaves out the loss of an iteration that it counts as NaN.
        cells["lm loss"] = "nan"
    return cells
