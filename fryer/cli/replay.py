"""``fryer replay``: the watchdog's training detectors over any old log. It reads files and prints; others judge."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def replay(  # noqa: PLR0913, PLR0917 - a parameter is an option
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Logs: CSV (long, wide, wandb's), JSON lines, trainer_state.json, Megatron's log or golden values, "
            "nanoGPT's kind of log, TensorBoard's events (file or folder), the store's folder. - is stdin.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line; the last is the summary.")] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.html", help="Curves with what was found, as a page.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN",
            help="Where a field is, as in loss=train/nll: step tokens at_seconds loss grad_norm update_norm "
            "loss_scale tokens_per_second seconds rank batch run.",
        ),
    ] = None,
    wide: Annotated[
        str, typer.Option("--wide", metavar="FIELD", help="A column a run: the field that those columns hold.")
    ] = "",
    join: Annotated[
        bool, typer.Option("--join", help="All runs are one that was started again: the newest wins.")
    ] = False,
    reference: Annotated[
        str, typer.Option("--reference", metavar="RUN", help="Compare the loss with this run's at equal progress.")
    ] = "",
    compare: Annotated[
        list[str] | None,
        typer.Option("--compare", metavar="RULE", help="A published rule beside ours, or all; may be repeated."),
    ] = None,
    stage: Annotated[
        list[str] | None, typer.Option("--stage", metavar="STEP", help="A planned stage begins at this step.")
    ] = None,
    decay: Annotated[
        list[str] | None, typer.Option("--decay", metavar="STEP", help="The learning rate's decay begins.")
    ] = None,
    restart: Annotated[
        list[str] | None, typer.Option("--restart", metavar="STEP", help="First step of a new process.")
    ] = None,
    layout: Annotated[
        list[str] | None, typer.Option("--layout", metavar="STEP", help="Another world or batch size from here.")
    ] = None,
    pause: Annotated[
        list[str] | None,
        typer.Option("--pause", metavar="FROM:TO", help="Planned slow steps: evaluation, checkpoint, anything."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="DIR", help="Store of a node's daemon: its incidents and readings explain."),
    ] = None,
) -> None:
    """What would the watchdog have said? Its training detectors over old logs, with causes and what it would have done.

    A file is recognised by what it holds and never by its name. Give two launches of a run and each event is looked
    up in the other: what comes again at the same steps is data or software, what does not is state or hardware.

    \b
    Examples:
      fryer replay metrics.jsonl
      fryer replay launch1.csv launch2.csv --plot curves.html
      fryer replay --map loss=train/nll --stage 3450001 --decay 4198001 wandb.csv
      fryer replay --json train.log | jq -r 'select(.kind == "spike") | .start'
      fryer replay --compare all --reference baseline runs.csv

    \b
    Exit codes: 0 nothing found; 1 something found; 2 wrong usage, or no such file;
    3 a file can't be read, and nothing was found in the others.
    """
    from fryer.replay.documents import documents
    from fryer.replay.replaying import Asked, exit_code, marks_of, replay_files, rules_of
    from fryer.replay.table import table

    asked = Asked(
        files=files,
        columns=columns or (),
        wide=wide,
        is_joined=join,
        reference=reference,
        rules=rules_of(compare or ()),
        marks=marks_of(stage=stage, decay=decay, restart=restart, layout=layout, pause=pause),
        plot=plot,
        state=state,
    )
    judged, told = replay_files(asked)
    if as_json:
        for document in documents(judged, told):
            print(json.dumps(document, allow_nan=False))
    else:
        sys.stdout.write(table(judged, told))
    raise typer.Exit(exit_code(judged, told))
