"""``fryer judge``: our verdict on what other tools wrote. It reads files and prints; `fryer.imports` judges."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def judge(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Outputs of nccl-tests, dcgmi diag, nvidia-smi -q, nvbandwidth or gpu-fryer, as text or as "
            "JSON/XML; recognised by what they hold. - is stdin.",
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document a line; the last has the verdict.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="A warning gives exit code 1 too.")] = False,
    expect: Annotated[
        float | None,
        typer.Option(
            metavar="GB/S",
            min=0.001,
            help="Bus bandwidth that a healthy run of nccl-tests reaches on your network. Default: what is published "
            "for the platform, where it is.",
        ),
    ] = None,
) -> None:
    """Judge what you already have: outputs of other tools, by file and by device, with reasons and what to do.

    Nothing is run and no GPU is needed. What is cut off, empty, failed or unknown is an ERROR and never a pass.

    \b
    Examples:
      fryer judge all_reduce.txt
      nvidia-smi -q | fryer judge -
      fryer judge --json diag.json smi.xml | tail -1
      fryer judge --expect 380 ring_2_nodes.txt

    \b
    Exit codes: 0 healthy; 1 unhealthy (with --strict: or a warning); 2 wrong usage, or no such file;
    3 cannot tell: cut off, empty, failed, unknown, or not settled by what is there.
    """
    from fryer.imports.documents import documents, verdict_of
    from fryer.imports.reading import check, judge_file
    from fryer.imports.table import table
    from watchdog.vocabulary.verdicts import exit_code

    check(files)
    judged = [judge_file(file, None if expect is None else expect * 1e9) for file in files]
    if as_json:
        for document in documents(judged):
            print(json.dumps(document, allow_nan=False))
    else:
        sys.stdout.write(table(judged))
    raise typer.Exit(exit_code(verdict_of(judged), strict=strict))
