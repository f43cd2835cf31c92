"""``fryer inject``: a fault in the kernel log, to rehearse what follows from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watchdog.settings import DEFAULT_KMSG, DEFAULT_SOCKET

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_STDOUT = "-"


@app.command()
def inject(  # noqa: PLR0913, PLR0917 - one parameter an option
    kmsg: Annotated[str | None, typer.Option(metavar="LINE", help="A kernel line of your own, as it stands.")] = None,
    xid: Annotated[int | None, typer.Option(metavar="CODE", help="The driver's line of this Xid; needs --pci.")] = None,
    sxid: Annotated[int | None, typer.Option(metavar="CODE", help="The same of an SXid of an NVSwitch.")] = None,
    ready: Annotated[str | None, typer.Option(metavar="NAME", help="A line of --list.")] = None,
    pci: Annotated[
        str | None, typer.Option(metavar="BUS", help="PCI address of the GPU or switch, as nvidia-smi shows it.")
    ] = None,
    to: Annotated[str, typer.Option(metavar="PATH", help="FIFO or file that a daemon reads, or - for stdout.")] = str(
        DEFAULT_KMSG
    ),
    socket: Annotated[
        Path, typer.Option(metavar="PATH", help="Socket of that daemon, which is asked whether it is simulated.")
    ] = DEFAULT_SOCKET,
    yes_really: Annotated[
        bool, typer.Option("--yes-really", help="Do it on real hardware too: what follows is as real as the node.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the ready lines, write nothing.")] = False,
) -> None:
    """Write one kernel line as if a driver had printed it, and rehearse detection, incident, signal, alert and drain.

    Safe where a simulated daemon reads it. On real hardware it is refused without --yes-really.

    \b
    Examples:
      fryer inject --list
      fryer inject --xid 79 --pci 0000:1b:00.0 --to /tmp/f/kmsg --socket /tmp/f/s
      fryer inject --ready oom --to - | fryer scan --kmsg -

    \b
    Exit codes: 0 written; 2 wrong usage, or refused; 3 it can't be written, or nobody reads it.
    """
    if list_:
        _show_ready()
        return
    line = _line(kmsg, xid, sxid, ready, pci)
    if to == _STDOUT:
        print(line)
        return
    _write(line, Path(to), socket, yes_really=yes_really)


def _line(kmsg: str | None, xid: int | None, sxid: int | None, ready: str | None, pci: str | None) -> str:
    import os

    from watchdog.cli import rehearsal_lines as lines
    from watchdog.vocabulary.errors import UsageError

    given = [option for option in (kmsg, xid, sxid, ready) if option is not None]
    if len(given) != 1:
        raise UsageError("give one of --kmsg LINE, --xid CODE, --sxid CODE, --ready NAME; --list shows the ready ones")
    if kmsg is not None:
        if pci is not None:
            raise UsageError("--pci does not go with --kmsg: write the address into the line")
        return lines.checked_line(kmsg)
    if ready is not None:
        template = lines.named_line(ready)
    elif xid is not None:
        template = lines.xid_line(xid)
    else:
        assert sxid is not None
        template = lines.sxid_line(sxid)
    return lines.filled(template, pci=pci, pid=os.getpid())


def _write(line: str, target: Path, socket: Path, *, yes_really: bool) -> None:
    from watchdog.cli.kernel_log_target import danger, kind_of, write_line
    from watchdog.vocabulary.errors import UsageError

    why = danger(kind_of(target), target, socket)
    if why and not yes_really:
        raise UsageError(f"refused: {why}. {_follows(line)}. Add --yes-really to write it all the same")
    write_line(target, line)
    print(f"{target}: {line}")
    print(f"{_follows(line)}; see: fryer incident list --socket {socket}")


def _follows(line: str) -> str:
    """One sentence: what a daemon does with the line."""
    from watchdog.cli.rehearsal_lines import as_read
    from watchdog.collectors.kmsg_prefix import take_apart

    event = as_read(take_apart(line).text)
    if event is None:
        return "fryer watch reads nothing in this line"
    what = event.kind if event.code is None else f"{event.kind} {event.code}"
    where = f" at {event.pci}" if event.pci else ""
    takes = f"fryer watch takes it as {what}{where} ({event.severity}, {event.action})"
    if event.severity == "info":
        return f"{takes}, which opens no incident by itself"
    if event.severity == "warning":
        return f"{takes}: it opens an incident and alerts people"
    return (
        f"{takes}: it opens an incident, alerts people, and stops runs and drains the node where the policy allows it"
    )


def _show_ready() -> None:
    from watchdog.cli.rehearsal_lines import EXAMPLE_PCI, as_read, filled, ready_lines
    from watchdog.cli.tables import print_table

    rows = []
    for ready in ready_lines().values():
        line = filled(ready.template, pci=EXAMPLE_PCI if ready.needs_pci else None, pid=4711)
        event = as_read(line)
        assert event is not None, ready.name
        rows.append((ready.name, event.severity, event.action, "yes" if ready.needs_pci else "no", line))
    print_table(("name", "severity", "action", "needs --pci", "line"), rows)
