"""``fryer watch``: the daemon of one node. It resolves the settings, starts the daemon and its API, and waits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from watchdog.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from watchdog.settings import Settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def watch(
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings. Default: /etc/fryer/fryer.toml where it exists.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the database is. Default: $FRYER_STATE_DIRECTORY; else /var/lib/fryer for root, "
            "~/.local/state/fryer for a user.",
        ),
    ] = None,
    socket: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Unix socket of the API. Default: /run/fryer/watchdog.sock.")
    ] = None,
    kmsg: Annotated[
        Path | None,
        typer.Option(metavar="PATH", readable=False, help="Kernel log: a device, file or FIFO. Default: /dev/kmsg."),
    ] = None,
    node: Annotated[str | None, typer.Option(help="Name of this node. Default: the host's.")] = None,
    simulate: Annotated[
        str | None, typer.Option(metavar="FILE", help="A scenario in place of the GPUs: a file, or a ready one's name.")
    ] = None,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="Print every resolved setting with its origin, and exit.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more on stderr.")] = False,
) -> None:
    """Watch this node: read GPUs, kernel log, network, host and storage; judge; tell trainers, Prometheus and people.

    Without a GPU, without NVML, or as an ordinary user it watches what it can, and says "unknown" of the rest.

    \b
    Examples:
      fryer watch --simulate throttled --state /tmp/fryer --socket /tmp/fryer/watchdog.sock
      fryer watch --config /etc/fryer/fryer.toml

    \b
    Exit codes: 0 stopped when asked; 2 wrong usage or settings; 3 the database or the socket can't be used.
    """
    import asyncio

    from watchdog.daemon.build import sections
    from watchdog.settings import read_settings
    from watchdog.settings import show_settings as shown

    settings = _override(read_settings(config, sections()), state=state, socket=socket, kmsg=kmsg, node=node)
    if show_settings:
        print(shown(settings))
        return
    _log(verbose=verbose)
    asyncio.run(_serve(settings, simulate))


def _override(settings: Settings, **given: Any) -> Settings:
    from dataclasses import replace

    names = {"state": "state_directory"}
    changes = {names.get(key, key): value for key, value in given.items() if value is not None}
    given_keys = {f"watchdog.{name}" for name in changes}
    try:
        return replace(settings, watchdog=replace(settings.watchdog, **changes), given=settings.given | given_keys)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _log(*, verbose: bool) -> None:
    import logging

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    for noisy in ("apscheduler", "alembic", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.INFO if verbose else logging.WARNING)


async def _serve(settings: Settings, scenario: str | None) -> None:
    import asyncio
    import signal

    from watchdog.daemon.build import assemble, check_socket

    check_socket(settings.watchdog.socket)
    assembled = assemble(settings, scenario)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, assembled.daemon.stop)
    await assembled.api.start()
    try:
        await assembled.daemon.run()
    finally:
        await assembled.api.stop()
        if assembled.alerts is not None:
            assembled.alerts.close()
