"""``fryer status``: what the daemon of this node knows, on one screen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from watchdog.vocabulary.errors import SourceFailed

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SCHEMA = "fryer/status"
VERSION = 1
_EXIT = {"OK": 0, "WARN": 0, "FAIL": 1, "UNKNOWN": 3}


@app.command()
def status(
    socket: Annotated[Path, typer.Option(metavar="PATH", help="Unix socket of the daemon.")] = Path(
        "/run/fryer/watchdog.sock"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="A warning exits 1 too.")] = False,
) -> None:
    """Show the state of this node: findings, open incidents, the signal to the trainer, collectors, runs.

    \b
    Examples:
      fryer status
      fryer status --json | jq .findings

    \b
    Exit codes: 0 nothing is wrong (or only warnings); 1 something failed;
    3 unknown: no daemon, or not all could be read.
    """
    from watchdog.cli.asking import ask

    try:
        known = ask(socket, "GET", "/v1/state")
    except SourceFailed as error:
        if as_json:
            unknown: dict[str, object] = {"findings": [], "incidents": [], "signal": None, "error": str(error)}
            print(json.dumps({"schema": SCHEMA, "version": VERSION, "type": "status", "state": "UNKNOWN", **unknown}))
        raise
    severity = str(known.pop("severity"))
    document = {**known, "schema": SCHEMA, "version": VERSION, "type": "status", "state": severity}
    print(json.dumps(document) if as_json else _screen(document))
    raise typer.Exit(1 if strict and severity == "WARN" else _EXIT.get(severity, 3))


def _screen(state: dict[str, Any]) -> str:
    from datetime import UTC, datetime

    at = datetime.fromtimestamp(state["at"], UTC).strftime("%H:%M:%S UTC")
    lines = [f"{state['node']}: {state['state']} at {at}", ""]
    lines += _section("findings", [_finding(finding) for finding in state["findings"]])
    opened = [incident for incident in state["incidents"] if incident["state"] != "closed"]
    lines += _section("open incidents", [_incident(incident) for incident in opened])
    signal = state.get("signal")
    if signal:
        observed = " (observe only: not acted on)" if signal.get("is_observed_only") else ""
        lines += _section("signal", [f"{signal['action']}{observed}: {signal['reason']}"])
    lines += _section("runs", [_run(run) for run in state["runs"]])
    lines += _section("collectors", [_collector(collector) for collector in state["collectors"]])
    return "\n".join(lines).rstrip()


def _section(name: str, lines: list[str]) -> list[str]:
    return [f"{name}:", *(f"  {line}" for line in lines), ""] if lines else [f"{name}: none", ""]


def _finding(finding: dict[str, Any]) -> str:
    return f"{finding['severity']:<7} {finding['subject']} {finding['code']}: {finding['message']}"


def _incident(incident: dict[str, Any]) -> str:
    return f"{incident['state']:<8} {incident['id'][:8]} {incident['title']} ({incident['count']} times)"


def _run(run: dict[str, Any]) -> str:
    ended = f", ended: {run['end_reason']}" if run.get("ended_at") else ""
    return f"{run['run']} step {run['step']}{ended}"


def _collector(collector: dict[str, Any]) -> str:
    if collector["is_missing"]:
        return f"{collector['name']:<11} not on this machine: {collector['last_error']}"
    return f"{collector['name']:<11} {collector['last_error'] or 'works'}"
