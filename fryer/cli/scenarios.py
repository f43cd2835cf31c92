"""``fryer scenarios``: the ready scenarios, for rehearsing without hardware."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def scenarios(
    name: Annotated[str | None, typer.Argument(help="Print this one's file, as a start for one of your own.")] = None,
) -> None:
    """List the ready scenarios with what each rehearses and the verdict it leads to, or print one.

    \b
    Examples:
      fryer scenarios
      fryer scenarios slow_gpu > mine.toml

    \b
    Exit codes: 0 listed; 2 no such scenario.
    """
    from rich.console import Console
    from rich.table import Table

    from watchdog.simulator.scenario import load, ready_names, scenario_path

    if name is not None:
        print(scenario_path(name).read_text(encoding="utf-8"), end="")
        return
    table = Table("name", "verdict", "what it rehearses", box=None, pad_edge=False)
    for ready in ready_names():
        scenario = load(ready)
        verdict = scenario.expect.verdict if scenario.expect else "-"
        table.add_row(ready, verdict, scenario.description)
    Console().print(table)
