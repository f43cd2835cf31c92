"""Checkpoints as a table and as JSON rows. Not a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.checkpoints.listing import Listed


def row(listed: Listed, latest: str | None) -> dict[str, Any]:
    """One checkpoint for ``--json``; null where its manifest can't be read."""
    manifest = listed.manifest
    return {
        "step": listed.step,
        "path": str(listed.path),
        "state": listed.status.state,
        "pinned": listed.status.is_pinned,
        "latest": listed.path.name == latest,
        "run": manifest.header.run if manifest else None,
        "stage": manifest.header.stage if manifest else None,
        "tokens": manifest.header.tokens if manifest else None,
        "bytes": manifest.num_bytes if manifest else None,
        "created_at": manifest.created_at if manifest else None,
        "problem": listed.problem or None,
        "history": [{"state": each.state, "at": each.at, "why": each.why} for each in listed.status.history],
    }


def print_table(found: list[Listed], latest: str | None) -> None:
    """On stdout; nothing is cut off."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("step", "stage", "tokens", "size", "state", "taken", "note"):
        table.add_column(title, justify="right" if title in ("step", "tokens", "size") else "left", no_wrap=True)
    for listed in found:
        table.add_row(*_cells(listed, latest))
    console = Console()
    console.width = max(console.width, console.measure(table, options=console.options.update(width=2000)).maximum)
    console.print(table, crop=False)


def _cells(listed: Listed, latest: str | None) -> list[Any]:
    from rich.text import Text

    from trainer.checkpoints.words import State
    from watchdog.vocabulary.units import show_quantity

    colours = {State.GOOD: "green", State.SUSPECT: "yellow", State.BAD: "bold red", State.WRITING: "dim"}
    state, manifest = listed.status.state, listed.manifest
    marks = ["latest"] * (listed.path.name == latest) + ["pinned"] * listed.status.is_pinned
    note = "; ".join([*marks, listed.problem or _why(listed)] if listed.problem or _why(listed) else marks)
    stage = tokens = size = taken = "-"
    if manifest:
        stage, taken = manifest.header.stage, _when(manifest.created_at)
        tokens, size = show_quantity(manifest.header.tokens, ""), show_quantity(manifest.num_bytes, "B")
    return [
        Text(str(listed.step)),
        Text(_printable(stage)),
        Text(tokens),
        Text(size),
        Text(state, style=colours.get(state, "")),
        Text(taken),
        Text(_printable(note), style="bold red" if listed.problem else ""),
    ]


def _why(listed: Listed) -> str:
    """The reason of a state that keeps it from being used."""
    from trainer.checkpoints.words import State

    if listed.status.state not in (State.BAD, State.SUSPECT) or not listed.status.history:
        return ""
    return next(each.why for each in reversed(listed.status.history) if each.state == listed.status.state)


def _printable(text: str) -> str:
    """What comes from files and people is text here, never control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _when(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
