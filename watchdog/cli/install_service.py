"""``fryer install-service``: the daemon as a systemd service."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def install_service(
    prefix: Annotated[
        Path | None, typer.Option(help="Folder that holds venv/bin/fryer; default: the fryer that runs now.")
    ] = None,
    user: Annotated[
        str, typer.Option(help="Who the daemon runs as. root also reads SRAM error limits and may drain in Slurm.")
    ] = "fryer",
    writable: Annotated[
        list[Path] | None, typer.Option(help="Folder that the storage probe may write to; may be repeated.")
    ] = None,
    into: Annotated[Path, typer.Option(help="Folder of units.")] = Path("/etc/systemd/system"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the unit, write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a unit that was changed.")] = False,
) -> None:
    """Write fryer-watch.service, hardened, with the right paths, and say what to do next. Starts nothing.

    \b
    Examples:
      fryer install-service --dry-run
      sudo /opt/fryer/venv/bin/fryer install-service --writable /scratch

    \b
    Exit codes: 0 written, or there already; 2 a changed unit is there, no such user or command, or not allowed.
    """
    from watchdog.unit_file import UNIT, install, require_user, unit_text
    from watchdog.vocabulary.errors import UsageError

    command = Path(sys.prefix) / "bin" / "fryer" if prefix is None else prefix.absolute() / "venv" / "bin" / "fryer"
    text = unit_text(command, user, writable or [])
    if dry_run:
        print(text, end="")
        return
    if not command.is_file():
        raise UsageError(f"no command {command}; install Fryer there, or give --prefix DIR with DIR/venv/bin/fryer")
    require_user(user)
    is_new = install(text, into, force=force)
    print(f"{into / UNIT}: {'written' if is_new else 'unchanged'}. It runs {command} watch as {user}.")
    print("Next:")
    print("  systemctl daemon-reload")
    print(f"  systemctl enable --now {UNIT}")
    print(f"  systemctl status {UNIT}        # Status: is the daemon's own word")
    print(f"  journalctl -u {UNIT} -f")
