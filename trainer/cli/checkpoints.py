"""``fryer checkpoints``: what a training can go back to, and what a person says of it. Only export loads torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchdog.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from trainer.checkpoints.listing import Listed

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

SCHEMA = "fryer/checkpoints"
VERSION = 1

Where = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="A run's directory, or its checkpoints directory."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.callback()
def checkpoints() -> None:
    """List, verify, pin and export a training's durable checkpoints.

    \b
    Examples:
      fryer checkpoints list runs/smoke
      fryer checkpoints verify runs/smoke --step 400
      fryer checkpoints export runs/smoke --out smoke-hf

    \b
    Exit codes: 0 good; 1 a checkpoint is damaged, or a change makes no sense; 2 wrong usage; 3 it could not be told.
    """


@app.command("list")
def list_all(where: Where, as_json: AsJson = False) -> None:
    """Show each checkpoint: step, stage, state, size, age, and what is wrong with it.

    It reads manifests and sizes of files, no tensors: a flipped bit shows in `verify` alone.

    \b
    Examples:
      fryer checkpoints list runs/smoke
      fryer checkpoints list runs/smoke/checkpoints --json

    \b
    Exit codes: 0 listed; 1 one of them is damaged; 2 no such directory.
    """
    from trainer.checkpoints.listing import list_durable, read_latest

    directory = directory_of(where)
    found = list_durable(directory)
    latest = read_latest(directory)
    if as_json:
        rows = [_row(listed, latest) for listed in found]
        document = {"schema": SCHEMA, "version": VERSION, "directory": str(directory), "checkpoints": rows}
        print(json.dumps(document))
    elif found:
        _print(found, latest)
    else:
        print(f"no checkpoints in {directory}", file=sys.stderr)
    damaged = any(listed.problem and not listed.problem.startswith("it is half-written") for listed in found)
    raise typer.Exit(1 if damaged else 0)


def directory_of(where: Path) -> Path:
    """The directory with the checkpoints that `where` means. Raises `UsageError`."""
    from trainer.checkpoints.names import LATEST, partial_of, step_of

    if not where.is_dir():
        raise UsageError(f"{where} is no directory; give a run's directory or its checkpoints")
    names = {path.name for path in where.iterdir()}
    if LATEST in names or any(step_of(name) is not None or partial_of(name) for name in names):
        return where
    inner = where / "checkpoints"
    return inner if inner.is_dir() else where


def _row(listed: Listed, latest: str | None) -> dict[str, Any]:
    manifest = listed.manifest
    return {
        "step": listed.step,
        "path": str(listed.path),
        "state": listed.status.state,
        "pinned": listed.status.is_pinned,
        "latest": listed.path.name == latest,
        "stage": manifest.header.stage if manifest else None,
        "tokens": manifest.header.tokens if manifest else None,
        "bytes": manifest.num_bytes if manifest else None,
        "created_at": manifest.created_at if manifest else None,
        "problem": listed.problem or None,
        "history": [{"state": each.state, "at": each.at, "why": each.why} for each in listed.status.history],
    }


def _print(found: list[Listed], latest: str | None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("step", "stage", "tokens", "size", "state", "taken", "note"):
        table.add_column(title, justify="right" if title in ("step", "tokens", "size") else "left", no_wrap=True)
    for listed in found:
        table.add_row(*_cells(listed, latest))
    console = Console()
    # what does not fit a terminal is wrapped by it; in a file or pipe nothing is cut
    console.width = max(console.width, console.measure(table, options=console.options.update(width=2000)).maximum)
    console.print(table, crop=False)


def _cells(listed: Listed, latest: str | None) -> list[Any]:
    from rich.text import Text

    from trainer.checkpoints.words import State
    from watchdog.vocabulary.units import show_quantity

    colours = {State.GOOD: "green", State.SUSPECT: "yellow", State.BAD: "bold red", State.WRITING: "dim"}
    state, manifest = listed.status.state, listed.manifest
    marks = ["latest"] * (listed.path.name == latest) + ["pinned"] * listed.status.is_pinned
    note = "; ".join([*marks, listed.problem] if listed.problem else marks)
    stage = tokens = size = taken = "-"
    if manifest:
        stage, taken = manifest.header.stage, _when(manifest.created_at)
        tokens, size = show_quantity(manifest.header.tokens, ""), show_quantity(manifest.num_bytes, "B")
    return [
        Text(str(listed.step)),
        Text(stage),
        Text(tokens),
        Text(size),
        Text(state, style=colours.get(state, "")),
        Text(taken),
        Text(note, style="bold red" if listed.problem else ""),
    ]


def _when(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
