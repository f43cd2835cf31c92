"""``fryer incident``: what went wrong on this node, and a person's word on it. All of it over the daemon's API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from watchdog.settings import DEFAULT_SOCKET

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

_MOST_KEPT = 2000
"""The most that the API gives at once."""
_MOST_REASON = 500
"""Characters of a reason that the daemon keeps."""

Socket = Annotated[Path, typer.Option("--socket", metavar="PATH", help="Unix socket of the daemon.")]
AsJson = Annotated[bool, typer.Option("--json", help="The API's JSON document.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="Its id, or as much of it as no other begins with.")]


@app.callback()
def incident() -> None:
    """List incidents of this node, show one, or mark one as healthy.

    \b
    Examples:
      fryer incident list
      fryer incident show 6c36

    \b
    Exit codes: 0 done; 2 wrong usage, or no such incident; 3 the daemon does not answer.
    """


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Kept ones of any age too, the newest 2000.")] = False,
    socket: Socket = DEFAULT_SOCKET,
    as_json: AsJson = False,
) -> None:
    """List open incidents and those closed within a day, newest first.

    \b
    Examples:
      fryer incident list
      fryer incident list --all --json | jq -r '.incidents[].title'

    \b
    Exit codes: 0 listed, whatever there is; 2 wrong usage; 3 the daemon does not answer.
    """
    from watchdog.cli.incident_screen import row
    from watchdog.cli.tables import print_table

    found = _kept(socket) if all_ else _lately(socket)
    if as_json:
        print(json.dumps({"type": "incidents", "schema": "fryer/watch", "version": 1, "incidents": found}))
    elif not found:
        print("no incidents are kept" if all_ else "no incidents, open or closed within a day")
    else:
        print_table(("id", "state", "severity", "opened", "count", "action", "title"), [row(one) for one in found])


@app.command()
def show(id_: Id, socket: Socket = DEFAULT_SOCKET, as_json: AsJson = False) -> None:
    """Show one incident: root, victims, action, verification, cost, evidence, and what people said.

    \b
    Examples:
      fryer incident show 6c36
      fryer incident show 6c36 --json | jq .incident.evidence

    \b
    Exit codes: 0 shown; 2 no such incident, or several; 3 the daemon does not answer.
    """
    _show(_find(id_, socket), as_json=as_json)


@app.command()
def mark_healthy(
    id_: Id,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why it is healthy: what was done, what was looked at.")],
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who says so. Default: your login name.")] = None,
    socket: Socket = DEFAULT_SOCKET,
    as_json: AsJson = False,
) -> None:
    """Close an incident on your word. A record with your name is added to it; nothing is deleted.

    What stood when you said so does not open it again; a new event does.

    \b
    Examples:
      fryer incident mark-healthy 6c36 --reason "reseated, dcgmi diag -r 3 passed"
      fryer incident mark-healthy 6c36 --reason "planned reset" --by alice

    \b
    Exit codes: 0 kept; 2 no such incident, no reason, or closed for more than a day; 3 the daemon does not answer.
    """
    from watchdog.cli.asking import ask

    words = reason.strip()
    found = _find(id_, socket)
    if found["closed_at"] is not None and all(one["id"] != found["id"] for one in _lately(socket)):
        raise _too_old(found)
    body = {"by": _login() if by is None else _checked("--by", by, 200), "reason": _checked("--reason", words)}
    answer = ask(socket, "POST", f"/v1/incidents/{found['id']}/mark-healthy", body)
    _show(answer["incident"], as_json=as_json)


def _lately(socket: Path) -> list[dict[str, Any]]:
    """Open ones and those closed within a day, as they are now."""
    from watchdog.cli.asking import ask

    return list(ask(socket, "GET", "/v1/state")["incidents"])


def _kept(socket: Path) -> list[dict[str, Any]]:
    """Those in the store too. What is in memory goes first: it may be a second newer."""
    from watchdog.cli.asking import ask

    kept = ask(socket, "GET", f"/v1/incidents?limit={_MOST_KEPT}")["incidents"]
    lately = _lately(socket)
    known = {one["id"] for one in lately}
    return sorted([*lately, *(one for one in kept if one["id"] not in known)], key=lambda one: -one["opened_at"])


def _find(beginning: str, socket: Path) -> dict[str, Any]:
    from watchdog.cli.incident_screen import chosen

    return dict(chosen(beginning, _kept(socket)))


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    from watchdog.cli.incident_screen import screen

    document = {"type": "incident", "schema": "fryer/watch", "version": 1, "incident": found}
    print(json.dumps(document) if as_json else screen(found))


def _checked(option: str, text: str, most: int = _MOST_REASON) -> str:
    from watchdog.vocabulary.errors import UsageError

    if not text.strip() or len(text) > most or not text.isprintable():
        raise UsageError(f"{option}: give one line of 1 to {most} characters, not {len(text)}: it is kept for others")
    return text


def _too_old(found: dict[str, Any]) -> Exception:
    from watchdog.cli.tables import when
    from watchdog.vocabulary.errors import UsageError

    return UsageError(
        f"incident {found['id'][:8]} was closed at {when(found['closed_at'])}: only open ones, and those closed within "
        "a day, can be marked"
    )


def _login() -> str:
    """Who sits at the terminal, also under sudo; without one, whom sudo names, else the process's user."""
    import os
    import pwd

    try:
        return os.getlogin()
    except OSError:
        pass  # no terminal: a script, a service
    if os.getuid() == 0 and os.environ.get("SUDO_USER"):
        return os.environ["SUDO_USER"]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
