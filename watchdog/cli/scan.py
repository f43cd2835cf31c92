"""``fryer scan``: what a kernel log says, without a daemon. It only prints; `kernel_log` reads."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from watchdog.cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchdog.cli.kernel_log import LogEvent
    from watchdog.vocabulary.incidents import Incident

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SCHEMA = "fryer/scan"
VERSION = 1
_GRAVE = ("critical", "fatal")


@app.command()
def scan(
    kmsg: Annotated[
        str,
        typer.Option(
            metavar="FILE", help="Kernel log in any style: dmesg, journalctl -k, syslog, /dev/kmsg; - is stdin."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
    strict: Annotated[bool, typer.Option(help="A warning gives exit code 1 too.")] = False,
    node: Annotated[str | None, typer.Option(help="Name of the node. Default: this host's.")] = None,
    driver: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION", help="NVIDIA driver of the log: SXids were renumbered. Default: as the log says."
        ),
    ] = None,
) -> None:
    """Read a kernel log: Xids, SXids, PCIe, memory, disk and NIC errors, and the incidents that they add up to.

    \b
    Examples:
      fryer scan --kmsg /var/log/kern.log
      journalctl -k | fryer scan --kmsg - --json

    \b
    Exit codes: 0 nothing above a warning; 1 a critical or fatal event;
    2 wrong usage, or no such file; 3 the log is empty or can't be read.
    """
    from socket import gethostname

    from watchdog.cli.kernel_log import IncidentReplay, KernelLog

    log = KernelLog(kmsg, node=node or gethostname(), driver=driver)
    replay = IncidentReplay()
    table = _Table()
    severities: Counter[str] = Counter()
    for found in log.events():
        severities[found.event.severity] += 1
        replay.add(found.event)
        if as_json:
            _print_document("event", _event_document(found))
        else:
            table.add(found)
    incidents = replay.finish()
    if as_json:
        _print_incidents(incidents, log.num_lines, severities)
    else:
        table.show(log.num_lines)
        _show_incidents(incidents)
    raise typer.Exit(_exit_code(log.num_lines, severities, strict=strict))


def _exit_code(num_lines: int, severities: Counter[str], *, strict: bool) -> int:
    if any(severities[severity] for severity in _GRAVE) or (strict and severities["warning"]):
        return 1
    return 0 if num_lines else 3


def _event_document(found: LogEvent) -> dict[str, object]:
    """The kind of Xid 154 is ``xid`` here, as its line says; its numbers are in the data."""
    event = found.event
    return {
        "kind": "xid" if event.kind == "recovery" else event.kind,
        "label": event.data.get("label"),
        "code": event.code,
        "pci": event.data.get("pci"),
        "subject": str(event.subject),
        "severity": event.severity,
        "action": event.action,
        "message": event.message,
        "line": found.line,
        "at": found.wall_seconds,
        "boot_seconds": found.boot_seconds,
        "data": {key: value for key, value in event.data.items() if key not in ("label", "pci")},
    }


def _print_incidents(incidents: Sequence[Incident], num_lines: int, severities: Counter[str]) -> None:
    from watchdog.cli.kernel_log import incident_document

    document = {
        "incidents": [incident_document(incident) for incident in incidents],
        "num_lines": num_lines,
        "num_events": severities.total(),
        "severities": dict(severities),
    }
    _print_document("incidents", document)


def _print_document(kind: str, content: dict[str, object]) -> None:
    print(json.dumps({"type": kind, "schema": SCHEMA, "version": VERSION, **content}, allow_nan=False), flush=True)


class _Table:
    """Events for a person: equal ones are one row."""

    def __init__(self) -> None:
        self._rows: dict[tuple[object, ...], list[LogEvent]] = {}
        self._counts: Counter[tuple[object, ...]] = Counter()

    def add(self, found: LogEvent) -> None:
        """Take one event; of equal ones the first and the last are kept."""
        event = found.event
        key = (event.subject, event.data.get("label"), event.code, event.severity, event.action)
        self._rows.setdefault(key, [found])[1:] = [found]
        self._counts[key] += 1

    def show(self, num_lines: int) -> None:
        """Print the table."""
        if not self._rows:
            print(f"{num_lines} lines, nothing to report" if num_lines else "the log is empty: nothing is known")
            return
        rows = [
            (
                _when(found[0]),
                found[0].event.severity,
                _what(found[0]),
                str(found[0].event.subject),
                str(self._counts[key]),
                found[0].event.action,
                found[-1].event.message[:100],
            )
            for key, found in self._rows.items()
        ]
        print_table(("first", "severity", "what", "part", "count", "action", "last message"), rows)


def _show_incidents(incidents: Sequence[Incident]) -> None:
    if not incidents:
        return
    print()
    rows = [
        (
            incident.severity.name,
            incident.root_code,
            str(incident.root),
            str(incident.count),
            incident.action,
            ", ".join(str(victim) for victim in incident.victims) or "-",
            incident.title,
        )
        for incident in incidents
    ]
    print_table(("incident", "root", "part", "count", "action", "victims", "title"), rows)


def _what(found: LogEvent) -> str:
    event = found.event
    label = str(event.data.get("label", event.kind))
    return label if event.code is None else f"{label} {event.code}"


def _when(found: LogEvent) -> str:
    from datetime import UTC, datetime

    if found.wall_seconds is not None:
        return datetime.fromtimestamp(found.wall_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return "-" if found.boot_seconds is None else f"boot+{found.boot_seconds:.3f}s"
