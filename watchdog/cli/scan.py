"""``fryer scan``: a kernel log, or this node at one look, without a daemon.

It only prints; `kernel_log` reads logs, `one_tick` looks at the node.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watchdog.cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchdog.cli.kernel_log import LogEvent
    from watchdog.cli.one_tick import Tick
    from watchdog.vocabulary.findings import Finding
    from watchdog.vocabulary.incidents import Incident

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SCHEMA = "fryer/scan"
VERSION = 1
_GRAVE = ("critical", "fatal")


@app.command()
def scan(
    kmsg: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Read only this kernel log, in any style: dmesg, journalctl -k, syslog, /dev/kmsg; - is stdin. "
            "Default: look at the node itself.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="A warning gives exit code 1 too.")] = False,
    node: Annotated[
        str | None, typer.Option(help="Name of the node. Default: as the settings say, or this host's.")
    ] = None,
    driver: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="With --kmsg: NVIDIA driver of the log, since SXids were renumbered. Default: as the log says.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings of the look. Default: /etc/fryer/fryer.toml where it exists."),
    ] = None,
    simulate: Annotated[
        str | None, typer.Option(metavar="FILE", help="A scenario in place of the GPUs: a file, or a ready one's name.")
    ] = None,
) -> None:
    """Look at this node once, without a daemon: GPUs, kernel log, network, host, storage; or read a kernel log alone.

    Each source is read once and judged as fryer watch does; what takes time to be seen, as rates, only the daemon sees.

    \b
    Examples:
      fryer scan
      fryer scan --simulate row_remap_pending --json
      fryer scan --kmsg /var/log/kern.log
      journalctl -k | fryer scan --kmsg - --json

    \b
    Exit codes: 0 nothing above a warning; 1 something failed, or a critical or fatal event;
    2 wrong usage, or no such file; 3 unknown: not all could be read, or the log is empty.
    """
    if kmsg is None:
        _refuse({"--driver": driver}, "goes with --kmsg only: the look at the node reads the driver itself")
        raise typer.Exit(_scan_node(config, simulate, node, as_json=as_json, strict=strict))
    _refuse({"--config": config, "--simulate": simulate}, "is for the look at the node; leave it out with --kmsg")
    raise typer.Exit(_scan_log(kmsg, node, driver, as_json=as_json, strict=strict))


def _refuse(options: dict[str, object], why: str) -> None:
    from watchdog.vocabulary.errors import UsageError

    for name, value in options.items():
        if value is not None:
            raise UsageError(f"{name} {why}")


def _scan_node(config: Path | None, simulate: str | None, node: str | None, *, as_json: bool, strict: bool) -> int:
    from dataclasses import replace

    from watchdog.cli.one_tick import tick
    from watchdog.daemon.build import sections, simulated_node
    from watchdog.settings import read_settings

    settings = read_settings(config, sections())
    if node is not None:
        settings = replace(settings, watchdog=replace(settings.watchdog, node=node))
    found = tick(settings, simulated_node(simulate, settings.watchdog.node))
    if as_json:
        _print_tick(found, is_simulated=simulate is not None)
    else:
        _show_tick(found)
    words = {finding.severity.name for finding in found.findings}
    if "FAIL" in words or (strict and "WARN" in words):
        return 1
    return 3 if "UNKNOWN" in words else 0


def _print_tick(tick: Tick, *, is_simulated: bool) -> None:
    from watchdog.cli.kernel_log import incident_document
    from watchdog.incidents.evidence import plain

    for finding in tick.findings:
        _print_document("finding", {**_finding_document(finding), "evidence": plain(finding.evidence)})
    document = {
        "node": tick.node,
        "at": tick.at,
        "is_simulated": is_simulated,
        "incidents": [incident_document(incident) for incident in tick.incidents],
        "num_findings": len(tick.findings),
        "severities": dict(Counter(finding.severity.name for finding in tick.findings)),
        "num_events": tick.num_events,
        "num_old_events": tick.num_old_events,
        "collectors": [
            {
                "name": state.name,
                "is_missing": state.is_missing,
                "error": state.last_error,
                "duration_seconds": state.duration_seconds,
            }
            for state in tick.collectors
        ],
    }
    _print_document("incidents", document)


def _finding_document(finding: Finding) -> dict[str, object]:
    return {
        "source": finding.source,
        "subject": str(finding.subject),
        "severity": finding.severity.name,
        "code": finding.code,
        "message": finding.message,
        "action": finding.action,
        "since": finding.since,
    }


def _show_tick(tick: Tick) -> None:
    works = [state.name for state in tick.collectors if not state.last_error]
    missing = [state.name for state in tick.collectors if state.is_missing]
    print(f"{tick.node}: read {', '.join(works) or 'nothing'}; not here: {', '.join(missing) or 'none'}")
    if tick.num_old_events:
        print(f"{tick.num_old_events} older events of the kernel log were not judged: fryer scan --kmsg /dev/kmsg")
    if not tick.findings:
        print("nothing to report")
        return
    print()
    rows = [
        (finding.severity.name, finding.code, str(finding.subject), finding.action, finding.message)
        for finding in tick.findings
    ]
    print_table(("finding", "code", "part", "action", "message"), rows)
    _show_incidents(tick.incidents)


def _scan_log(kmsg: str, node: str | None, driver: str | None, *, as_json: bool, strict: bool) -> int:
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
    return _exit_code(log.num_lines, severities, strict=strict)


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
