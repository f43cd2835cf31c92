"""``fryer worker``: the other end of a run over many nodes. Launchers start it; a person has no use for it."""

from __future__ import annotations

from typing import Annotated

import typer

from fryer.stopper import Stopper

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def worker(
    node: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            envvar="SLURMD_NODENAME",
            help="What the controller calls this node. Default: as Slurm calls it.",
        ),
    ],
    piece_bytes: Annotated[
        int,
        typer.Option(min=300, metavar="BYTES", help="Longer lines go in pieces; 900 where a transport cuts lines."),
    ] = 65536,
    address: Annotated[
        str | None, typer.Option(metavar="IP", help="Where other nodes reach this one. Default: found out.")
    ] = None,
    relay: Annotated[
        str,
        typer.Option(metavar="SET", help="Start workers on these nodes over ssh, and speak for them: on a gateway."),
    ] = "",
    ssh_options: Annotated[str, typer.Option(metavar="WORDS", help="Of a relay, for ssh.")] = "",
    remote_command: Annotated[str | None, typer.Option(metavar="WORDS", help="Of a relay: what starts Fryer.")] = None,
) -> None:
    """Carry out the orders of a `fryer run` elsewhere: JSON lines on stdin and stdout. Started by its launchers.

    It ends with the end of its stdin, within seconds, and leaves no process behind.

    \b
    Examples:
      fryer worker --node node001
      srun fryer worker --node node001 --piece-bytes 900

    \b
    Exit codes: 0 stopped by its controller; 2 wrong usage; 3 ended otherwise.
    """
    with Stopper().listening() as stopper:
        from fryer.fleet.channel import open_channel

        channel = open_channel(piece_bytes)  # before anything that may print is loaded
        if relay:
            from fryer.cli.relay import serve_relay

            code = serve_relay(node, relay, channel, stopper, ssh_options, remote_command)
        else:
            from fryer.fleet.worker import serve

            code = serve(node, channel, address, stopper)
    raise typer.Exit(code)
