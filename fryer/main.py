"""The `fryer` command: finds its subcommands in the entry-point group ``fryer.commands``, and turns errors into exits.

A subcommand's module is imported only when it is called, or listed by ``--help``; modules that hold one import nothing
heavy at the top, so help is instant.
"""

import contextlib
import os
import signal
import sys
import traceback
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from watchdog.vocabulary.errors import FryerError, UsageError, nearest

GROUP = "fryer.commands"
EXIT_USAGE = 2
EXIT_CANNOT_TELL = 3
DEBUG = "FRYER_DEBUG"
_INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit 0, 1, 2 or 3, as README says; nothing else, whatever happens."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stopped)
    try:
        assert_our_watchdog()
        code = app(standalone_mode=False)
    except FryerError as error:
        code = report(error)
    except (typer.Abort, KeyboardInterrupt):
        code = _cannot_tell("stopped before anything was measured")
    except SystemExit as done:  # so the command line's library ends on Ctrl-C
        code = _cannot_tell("stopped before anything was measured") if done.code == _INTERRUPTED else done.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_CANNOT_TELL
    except Exception as error:  # noqa: BLE001 - a bug must not look like a node that failed, which is exit 1
        code = _unexpected(error)
    sys.exit(code if isinstance(code, int) else 0)


def _stopped(number: int, frame: FrameType | None) -> None:
    """A stop before a command has its own way to end."""
    del number, frame
    raise KeyboardInterrupt


def _unexpected(error: Exception) -> int:
    """Wrong usage as the command line's library words it; anything else is the tool's own failure."""
    if hasattr(error, "show") and hasattr(error, "exit_code"):
        error.show()
        return EXIT_USAGE
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
    return _cannot_tell(f"failed by itself: {type(error).__name__}: {error}; for the trace set {DEBUG}=1")


def _cannot_tell(what: str) -> int:
    with contextlib.suppress(OSError):
        print(f"fryer: {what}", file=sys.stderr)  # noqa: T201 - the one place where errors are shown
    return EXIT_CANNOT_TELL


def report(error: FryerError) -> int:
    """Say the error in one line on stderr; returns the exit code: 2 where a person must change something, else 3."""
    print(f"fryer: {error}", file=sys.stderr)  # noqa: T201 - the one place where errors are shown
    return EXIT_USAGE if isinstance(error, UsageError) else EXIT_CANNOT_TELL


def assert_our_watchdog() -> None:
    """Raise `UsageError` when the distribution called ``watchdog`` on PyPI stands where our package should."""
    found = import_module("watchdog").__file__ or "?"
    ours = Path(__file__).parent.parent / "watchdog" / "__init__.py"
    if not Path(found).samefile(ours):
        raise UsageError(
            f"the package watchdog at {found} is not Fryer's (another project has that name); "
            "install Fryer into a virtual environment of its own: make setup"
        )


class Commands(TyperGroup):
    """A group whose commands are entry points, loaded when they are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all installed commands, in the order of a run's life where it is ours, then by name."""
        del ctx
        return sorted(_installed())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load one command; None for an unknown name."""
        del ctx
        entry = _installed().get(cmd_name)
        if entry is None:
            return None
        command = get_command(entry.load())
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As the parent does; an unknown command is told the nearest known one."""
        if args and args[0] not in _installed() and not args[0].startswith("-"):
            raise UsageError(f"no command {args[0]!r}{nearest(args[0], _installed())}")
        return super().resolve_command(ctx, args)


def _installed() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


app = typer.Typer(cls=Commands, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(epilog="Exit codes: 0 good, 1 a node or check failed, 2 wrong usage, 3 cannot tell.")
def fryer() -> None:
    """Qualify GPU nodes before a long training run, and say why a node is not fit."""
