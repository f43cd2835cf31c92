"""Tables of text with a row a point, the run's name in a column where there are several. Wide ones: `wide_table`."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from fryer.replay.columns import Layout, layout_of, unknown
from fryer.replay.points import Maker
from fryer.replay.wide_table import runs_of, wide_rows
from fryer.replay.words import Item, Options, Reading, Unreadable

DELIMITERS = ",\t;|"
_LOOK_ROWS = 64
"""Rows that are looked at before a wide table's columns are taken for runs."""
_FOREIGN = re.compile(r"\s*[\[{]|.*\biteration +\d+/|\s*(?:step|iter)[ :]\d+")
"""A line of another of our formats."""


def delimiter_of(header: str) -> str | None:
    """What separates the columns of a table's first line; None where nothing does."""
    best = max(DELIMITERS, key=header.count)
    return best if header.count(best) else None


def read(path: Path, options: Options, reading: Reading) -> Iterator[Item]:
    """Everything in a table. Raises `Unreadable` for one whose columns aren't known, and for two formats in one."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            first = file.readline()
            file.seek(0)
            yield from _rows(csv.reader(file, delimiter=delimiter_of(first) or ","), options, reading)
    except csv.Error as error:
        raise Unreadable(f"it is no table: {error}") from error


def _rows(rows: Iterator[list[str]], options: Options, reading: Reading) -> Iterator[Item]:
    header = [cell.strip() for cell in next(rows, [])]
    layout = layout_of(header, options.columns)
    if layout.is_known and not options.wide:
        reading.columns |= {place.field: place.column for place in layout.numbers}
        make: Callable[[Sequence[str]], list[Item]] = Maker(layout).make
    else:
        looked = list(islice(rows, _LOOK_ROWS))
        runs = runs_of(layout, looked, options.wide)
        if runs is None:
            raise unknown(header, layout)
        if runs.note:
            reading.note = runs.note
        reading.columns |= {place.field: place.column for place in runs.progress}
        rows, make = chain(looked, rows), wide_rows(runs)
    for line, row in enumerate(rows, start=2):
        try:
            yield from make(row)
        except (ValueError, IndexError, OverflowError):
            _refuse_foreign(row, layout, line)
            if row and [cell.strip() for cell in row] != header:
                reading.unread(line)


def _refuse_foreign(row: Sequence[str], layout: Layout, line: int) -> None:
    """Raise `Unreadable` where another format, or another table, begins in the middle of this one."""
    text = ",".join(row)
    is_header = len(row) > 1 and tuple(map(str.strip, row)) != layout.columns and layout_of(row).is_known
    if is_header or _FOREIGN.match(text):
        raise Unreadable(
            f"it is mixed: line 1 begins a table with the columns {', '.join(layout.columns[:8])}, and line {line} "
            f"({text[:60]!r}) is of another format; split it into a file for each"
        )
