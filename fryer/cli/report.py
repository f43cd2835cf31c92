"""``fryer report``: a kept run as a page. It reads the store and writes one file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from watchdog.store import Store

LAST = "last"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def report(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Id of a run or the start of it, as `fryer history` lists them; or last."),
    ],
    html: Annotated[Path, typer.Option("--html", metavar="FILE", help="Where to write the page.")],
    node: Annotated[
        str | None, typer.Option(help="Only this node of a run over many: its whole page, with every series.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where results are kept. Default: $FRYER_STATE_DIRECTORY; else /var/lib/fryer for root, "
            "~/.local/state/fryer for a user.",
        ),
    ] = None,
) -> None:
    """Write a kept run as one page: the verdict, its reasons, and every series that was measured.

    The page loads nothing from the network, so it can be kept and mailed.

    \b
    Examples:
      fryer report last --html report.html
      fryer report 3f2a91c4 --node node003 --html node003.html

    \b
    Exit codes: 0 written; 2 wrong usage, no such run or node, or the file can't be written;
    3 the database can't be read.
    """
    from fryer.archive import load
    from fryer.outputs.fleet_summary import one_node
    from fryer.outputs.html import check_path, write
    from watchdog.store import Store, default_directory

    check_path(html)
    store = Store.open_to_read(state or default_directory())
    result = load(store, _newest(store) if run == LAST else run)
    write(one_node(result, node) if node is not None else result, html)
    print(f"run {result.info.run_id} ({result.verdict}): {html}", file=sys.stderr)


def _newest(store: Store) -> str:
    from watchdog.vocabulary.errors import UsageError

    runs = store.runs(1)
    if not runs:
        raise UsageError(f"no results are kept in {store.path} yet: `fryer run` makes the first")
    return runs[0].run_id
