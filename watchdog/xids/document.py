"""Renders docs/xids.md from the catalogue. Pure: it returns text."""

from collections.abc import Mapping

from watchdog.xids.catalogue import sxids, xids
from watchdog.xids.entry import Entry
from watchdog.xids.recovery import recovery

_HEAD = """\
# Xids and SXids

Made by `python -m watchdog.xids docs/xids.md`; do not edit. The rows are `watchdog/xids/xids.csv` and `sxids.csv`.

Severity: *warning* the node stays usable, *critical* it needs a reset or an inspection after the job, *fatal* the GPU
or the fabric cannot go on. Severities are ours; actions are NVIDIA's immediate action where there is one.
What the line itself says goes first: the words Fatal and Non-fatal, and the hexadecimal number of Xid 154.
A code that is not here is a warning with the action contact_support; it is shown and counted like any other.

Sources: NVIDIA's Xid catalogue; the open kernel modules 595.45.04 (`nverror.h`; NVSwitches ls10 of H100 and lr10 of
A100); NVIDIA's Fabric Manager guide.

## Numbers that depend on the driver

| printed | driver | means |
| --- | --- | --- |
| SXid 28001 to 28006 | before 550.40 | SXid 29001 to 29006 (multicast) |
| SXid 29001 to 29006 | before 550.40 | SXid 30001 to 30006 (reduction) |
| Xid 51 | 610 and later | BAD_TSG |

Where the driver is not known, the words of the line decide.

## Xid 154: recovery action

| number | severity | action | meaning |
| --- | --- | --- | --- |
"""
_COLUMNS = (
    "| code | name | meaning | class | severity | action | source |\n| --- | --- | --- | --- | --- | --- | --- |\n"
)


def document() -> str:
    """The whole of docs/xids.md."""
    asked = "".join(f"| {r.number:#x} | {r.severity} | {r.action} | {r.meaning} |\n" for r in map(recovery, range(5)))
    return f"{_HEAD}{asked}\n## Xids\n\n{_table(xids())}\n## SXids\n\n{_table(sxids())}"


def _table(entries: Mapping[int, Entry]) -> str:
    return _COLUMNS + "".join(_row(entry) for entry in entries.values())


def _row(entry: Entry) -> str:
    extras = [entry.note]
    if entry.since:
        extras.append(f"since driver {entry.since}")
    if entry.absent_on:
        extras.append(f"never on {entry.absent_on}")
    remarks = "; ".join(extra for extra in extras if extra)
    meaning = f"{entry.meaning}. {remarks[0].upper()}{remarks[1:]}" if remarks else entry.meaning
    cells = (entry.code, entry.mnemonic, meaning, entry.group, entry.severity, entry.action, entry.source)
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |\n"
