"""``fryer history``: what is kept of earlier runs, and how the figures of a part moved. It only prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fryer.drift import Drift
    from watchdog.store import RunSummary, Store

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SCHEMA = "fryer/history"
VERSION = 1

_COLOURS = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red"}
_Table = tuple[tuple[str, ...], list[tuple[str, ...]], frozenset[int]]
"""Header, rows, and which columns are set to the right."""


@app.command()
def history(
    node: Annotated[str | None, typer.Option(help="Figures of this node.")] = None,
    gpu: Annotated[
        str | None,
        typer.Option(metavar="UUID", help="Figures of this device: its UUID or the start of it, also of a CPU's."),
    ] = None,
    burn: Annotated[str | None, typer.Option(help="Figures of this burn only.")] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="What became of each node of this run (its id or the start of it) since the node's last run; or last.",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest runs to show.")] = 20,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where results are kept. Default: $FRYER_STATE_DIRECTORY; else /var/lib/fryer for root, "
            "~/.local/state/fryer for a user.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
    import_file: Annotated[
        Path | None,
        typer.Option("--import", metavar="FILE", help="Take in a result that a run could not keep, and wrote to FILE."),
    ] = None,
) -> None:
    """Show how the figures of a part moved from run to run; without a selection, list the runs.

    Each figure stands beside its change (percent) against the run before and against the first that is kept.

    \b
    Examples:
      fryer history
      fryer history --gpu GPU-5f3a --burn gemm
      fryer history --run last

    \b
    Exit codes: 0 shown; 2 wrong usage, or no such node, device, burn or run;
    3 the database can't be read or written.
    """
    from watchdog.store import Store, default_directory
    from watchdog.vocabulary.errors import UsageError

    directory = state or default_directory()
    if import_file is not None:
        if node or gpu or burn or run:
            raise UsageError("--import takes in a whole result; leave --node, --gpu, --burn and --run out")
        _import(import_file, directory, as_json=as_json)
        return
    store = Store.open_to_read(directory)
    if run is not None:
        if node or gpu or burn:
            raise UsageError("--run compares all nodes of a run; leave --node, --gpu and --burn out")
        _show_changes(store, run, as_json=as_json)
    elif node is None and gpu is None and burn is None:
        _show_runs(store, limit, as_json=as_json)
    else:
        _show_figures(store, node, gpu, burn, limit, as_json=as_json)


def _import(file: Path, directory: Path, *, as_json: bool) -> None:
    from fryer.archive import save, unspool
    from watchdog.store import Store

    result = unspool(file)
    store = Store.open(directory)
    run_id = result.info.run_id
    is_new = not store.has(run_id)
    if is_new:
        save(store, result)
    if as_json:
        _print_document("import", {"run_id": run_id, "imported": is_new, "path": str(store.path)})
    else:
        print(f"run {run_id} ({result.verdict}) is {'now' if is_new else 'already'} kept in {store.path}")


def _show_runs(store: Store, limit: int, *, as_json: bool) -> None:
    from fryer.outputs.documents import jsonable

    runs = store.runs(limit)
    if as_json:
        for run in runs:
            _print_document("run", jsonable(run))
    elif runs:
        _print_table(_runs_table(runs))
    else:
        print(f"no results are kept in {store.path} yet: `fryer run` makes the first", file=sys.stderr)


def _show_figures(
    store: Store, node: str | None, gpu: str | None, burn: str | None, limit: int, *, as_json: bool
) -> None:
    from fryer.drift import drifts, newest_runs

    figures = store.history(node=node, uuid=gpu, burn=burn)
    if not figures:
        _refuse(node or gpu, burn)
    drifting = newest_runs(drifts(figures), limit)
    if not as_json:
        _print_table(_drift_table(drifting))
        return
    from fryer.outputs.documents import jsonable

    for drift in drifting:
        changes = {name: getattr(drift, name) for name in ("change_from_previous_ratio", "change_from_first_ratio")}
        _print_document("measurement", {**_object(jsonable(drift.figure)), **changes})


def _show_changes(store: Store, run: str, *, as_json: bool) -> None:
    from fryer.outputs.documents import jsonable
    from fryer.outputs.fleet_changes import changes, changes_text
    from fryer.outputs.wording import short_id
    from watchdog.vocabulary.errors import UsageError

    if run == "last":
        runs = store.runs(1)
        if not runs:
            raise UsageError(f"no results are kept in {store.path} yet: `fryer run` makes the first")
        run = runs[0].run_id
    run = store.find(run)
    found = changes(store.outcomes(run))
    if not as_json:
        print(f"run {short_id(run)} beside the last run of each node before it\n\n{changes_text(found)}")
        return
    for each in found:
        worst = each.outcome.worst
        content = {**_object(jsonable(each.outcome)), "run_id": run, "change": each.change}
        content["worst"] = {**_object(jsonable(worst)), "change_ratio": worst.change_ratio} if worst else None
        _print_document("change", content)


def _refuse(subject: str | None, burn: str | None) -> None:
    from fryer.burns import BURNS
    from watchdog.vocabulary.errors import UsageError, nearest

    if burn is not None and burn not in BURNS:
        raise UsageError(f"--burn: unknown burn {burn!r}{nearest(burn, BURNS)}")
    raise UsageError(
        f"no figure {f'of burn {burn} ' if burn else ''}{f'of {subject} ' if subject else ''}is kept; "
        f"`fryer history` lists the runs, `fryer run` makes one"
    )


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _print_document(kind: str, content: object) -> None:
    document = {"type": kind, "schema": SCHEMA, "version": VERSION, **_object(content)}
    print(json.dumps(document, allow_nan=False))


def _drift_table(drifting: Sequence[Drift]) -> _Table:
    from fryer.outputs.wording import short_id, show_rate

    header = (
        "date (UTC)",
        "node",
        "device",
        "uuid",
        "burn",
        "case",
        "value",
        "vs previous",
        "vs first",
        "verdict",
        "run",
    )
    rows: list[tuple[str, ...]] = []
    for drift in drifting:
        figure = drift.figure
        rows.append(
            (
                _date(figure.started_at),
                figure.node,
                figure.device + (" (simulated)" if figure.kind == "simulated" else ""),
                figure.uuid[:12],
                figure.burn,
                figure.case,
                show_rate(figure.value, figure.metric, figure.case),
                _percent(drift.change_from_previous_ratio),
                _percent(drift.change_from_first_ratio),
                str(figure.verdict),
                short_id(figure.run_id),
            )
        )
    return header, rows, frozenset({6, 7, 8})


def _runs_table(runs: Sequence[RunSummary]) -> _Table:
    from ClusterShell.NodeSet import NodeSet

    from fryer.outputs.wording import short_id
    from watchdog.vocabulary.units import show_duration

    header = ("date (UTC)", "nodes", "devices", "took", "verdict", "run", "command")
    rows: list[tuple[str, ...]] = [
        (
            _date(run.started_at),
            str(NodeSet.fromlist(run.nodes)) or "-",
            str(run.num_devices),
            show_duration(run.seconds),
            str(run.verdict),
            short_id(run.run_id),
            run.command,
        )
        for run in runs
    ]
    return header, rows, frozenset({2, 3})


def _date(instant: str) -> str:
    from datetime import UTC, datetime

    moment = datetime.fromisoformat(instant)
    return (moment.astimezone(UTC) if moment.tzinfo else moment).strftime("%Y-%m-%d %H:%M")


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:+.1%}"


def _print_table(table: _Table) -> None:
    """In colour on a terminal, plain elsewhere; nothing is cut off in either, since ids are there to be copied."""
    header, rows, right = table
    if not sys.stdout.isatty():
        from fryer.outputs.rows import fixed_width

        print("\n".join(fixed_width(header, rows, right)))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column, title in enumerate(header):
        drawn.add_column(title, justify="right" if column in right else "left", no_wrap=True)
    for row in rows:
        drawn.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    console = Console()
    console.width = max(console.width, console.measure(drawn, options=console.options.update(width=1000)).maximum)
    console.print(drawn, crop=False)
