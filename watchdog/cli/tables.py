"""Tables and times on a terminal. What comes from logs and people is text here, never control characters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_COLOURS = {"critical": "bold red", "fatal": "bold red", "warning": "yellow", "FAIL": "bold red", "WARN": "yellow"}


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns; nothing is cut off, and counts are right-aligned."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in header:
        table.add_column(title, justify="right" if title == "count" else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(cell), style=_COLOURS.get(cell, "")) for cell in row))
    console = Console()
    console.width = max(console.width, console.measure(table, options=console.options.update(width=2000)).maximum)
    console.print(table, crop=False)


def printable(text: str) -> str:
    """`text` with a question mark for each character that a terminal might obey."""
    return "".join(character if character.isprintable() else "?" for character in text)


def when(at: float | None) -> str:
    """Unix seconds as ``2026-03-02 08:15:00 UTC``; ``-`` for None."""
    return "-" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
