"""A run as plain text: one line a change of state on stderr while it runs, a fixed-width table on stdout at its end.

`final_text` is also what the live view leaves behind. No colour, no cursor: it is read in log files.
"""

from typing import TextIO

from fryer.evidence import DeviceInfo, NodeEvidence, NodeVerdict
from fryer.outputs.fleet_table import fleet_text
from fryer.outputs.matrix import matrix_of, matrix_text, split_pairs
from fryer.outputs.rows import About, Row, fixed_width, reasons_of, rows_of, verified_line
from fryer.outputs.wording import devices_line, last_line, one_line, reason_line, short_id, subject_of
from fryer.records import Mismatch, Problem, Record
from fryer.result import RunInfo, RunResult
from watchdog.collectors.readings import GpuReading
from watchdog.vocabulary.units import show_duration

_HEADER = ("burn", "case", "device", "value", "vs median", "spread", "steady", "limit", "verdict")
_RIGHT = frozenset({3, 4, 5, 7})


def final_text(result: RunResult) -> str:
    """Everything that a run found, as text that ends with the line that scripts and people look for."""
    if len(result.verdicts) > 1:
        return fleet_text(result)
    info = result.info
    parts = [f"run {short_id(info.run_id)}  {info.started_at}  took {show_duration(result.seconds)}\n{info.command}"]
    for evidence, verdict in zip(result.evidence, result.verdicts, strict=True):
        parts.append(_node_text(evidence, verdict))
    found = [_reason_text(about) for about in reasons_of(result)]
    if found:
        parts.append("\n".join(found))
    return "\n\n".join([*parts, last_line(result)]) + "\n"


def _node_text(evidence: NodeEvidence, verdict: NodeVerdict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in evidence.versions.items())
    lines = [f"{evidence.node}  {devices_line(evidence.devices)}"]
    if versions:
        lines.append(versions)
    if evidence.interrupted:
        lines.append(f"stopped early: {evidence.interrupted}")
    rows, pairs = split_pairs(rows_of(evidence, verdict))
    if rows:
        lines += ["", *_table(rows)]
    matrix = matrix_of(evidence, pairs)
    if matrix:
        lines += ["", *matrix_text(matrix)]
    return "\n".join([*lines, "", verified_line(evidence)])


def _table(rows: list[Row]) -> list[str]:
    """The table, with an empty line between cases so that the devices of one stand together."""
    header, *lines = fixed_width(_HEADER, [_cells(row) for row in rows], _RIGHT)
    spaced = [header]
    for index, (row, line) in enumerate(zip(rows, lines, strict=True)):
        if index and (row.burn, row.case) != (rows[index - 1].burn, rows[index - 1].case):
            spaced.append("")
        spaced.append(line)
    return spaced


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.burn,
        row.case,
        row.device,
        row.value,
        row.against_median,
        row.spread,
        row.steady,
        row.limit,
        row.verdict or "-",
    )


def _reason_text(about: About) -> str:
    subject = subject_of(about.node, about.device, with_node=False)
    lines = [reason_line(subject, about.reason)]
    if about.reason.remedy:
        lines.append(f"  {one_line(about.reason.remedy)}")
    if about.reason.repeat:
        lines.append(f"  repeat: {about.reason.repeat}")
    return "\n".join(lines)


class ChangeLines:
    """Says a change of state once: the first mismatch of a case, then the tenth, the hundredth and so on."""

    def __init__(self) -> None:
        self._num_mismatches: dict[tuple[str, str, str, str], int] = {}

    def line_of(self, node: str, record: Record) -> str | None:
        """The line that tells of this record, None when it changes nothing."""
        if isinstance(record, Problem):
            where = f"{record.burn} {record.case}".rstrip()
            return one_line(f"{node} {record.device} {where}: {record.verdict} {record.code}: {record.message}")
        if not isinstance(record, Mismatch):
            return None
        key = (node, record.device, record.burn, record.case)
        number = self._num_mismatches[key] = self._num_mismatches.get(key, 0) + 1
        if number != 10 ** (len(str(number)) - 1):
            return None
        where = f"{node} {record.device} {record.burn} {record.case}"
        if number > 1:
            return f"{where}: {number:,} mismatches so far"
        wrong = "number of wrong elements unknown" if record.num_wrong is None else f"{record.num_wrong:,} wrong"
        again = "wrong again when repeated" if record.reproduced else "not reproduced"
        return (
            f"{where}: mismatch at {record.at_seconds:.1f}s, found by {record.how}: {wrong}, "
            f"expected {record.expected}, read {record.read}, {again}"
        )


class TableOutput:
    """Lines on `stream_err` while the run goes on, the table on `stream_out` at its end."""

    def __init__(self, stream_out: TextIO, stream_err: TextIO) -> None:
        self._out = stream_out
        self._err = stream_err
        self._lines = ChangeLines()

    def start(self, info: RunInfo) -> None:
        """Say which run this is and how long it will measure."""
        burns = ", ".join(f"{phase.burn} {show_duration(phase.seconds)}" for phase in info.plan.phases)
        self._say(f"run {short_id(info.run_id)} began: {burns}")

    def node(self, node: str, devices: tuple[DeviceInfo, ...]) -> None:
        """Say what was found on a node."""
        self._say(f"{node}: {devices_line(devices)}")

    def phase(self, node: str, burn: str, seconds: float) -> None:
        """Say that a burn begins."""
        self._say(f"{node}: {burn} began, {show_duration(seconds)}")

    def record(self, node: str, record: Record) -> None:
        """Say what went wrong, once."""
        line = self._lines.line_of(node, record)
        if line is not None:
            self._say(line)

    def reading(self, node: str, device: str, reading: GpuReading) -> None:
        """Readings are for the judges; a log of them would hide what changed."""

    def finish(self, result: RunResult) -> None:
        """Write the table."""
        self._out.write(final_text(result))
        self._out.flush()

    def close(self) -> None:
        """Nothing is held."""

    def _say(self, line: str) -> None:
        self._err.write(line + "\n")
        self._err.flush()
