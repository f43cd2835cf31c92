"""What a run swept, in words, in nccl-tests' table and as a plot of bus bandwidth over size. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from fryer.collectives.cases import CollectiveRow
from fryer.collectives.plateau import Judgement, show_size
from fryer.collectives.swept import BETWEEN, INSIDE, Swept, middle_rows
from fryer.collectives.table import render_table
from fryer.outputs.charts import PALETTE, Chart
from fryer.outputs.nccl_file import rank_devices
from fryer.outputs.wording import count_of, one_line, show_rate
from fryer.records import BYTES
from fryer.result import RunResult
from watchdog.vocabulary.verdicts import Verdict

_MOST_DEVICES = 16
"""Ranks that are listed above a table."""
_DASH = {False: "solid", True: "dash"}


@dataclass(frozen=True, slots=True, kw_only=True)
class InsideRow:
    """One operation at its largest size inside all nodes, in words."""

    operation: str
    num_nodes: int
    size: str
    middle: str
    lowest: str


def sweep_lines(result: RunResult) -> list[str]:
    """What was concluded of each sweep, and what was left out of it."""
    if result.network is None:
        return []
    lines = [
        f"inside each of {count_of(row.num_nodes, 'node')}  {row.operation} at {row.size}: "
        f"median {row.middle}, lowest {row.lowest}"
        for row in inside_rows(result)
    ]
    for swept in shown_sweeps(result):
        where = (
            f"inside {swept.nodes[0]}" if swept.scope == INSIDE else f"sweep over {count_of(len(swept.nodes), 'node')}"
        )
        judged, others = told_judgements(swept)
        lines += [one_line(f"{where}  {each.verdict} {each.code}: {each.message}") for each in judged]
        if others:
            lines.append(f"{where}  not judged, for nobody has published what is healthy here: {others}")
        lines += [f"  not measured: {one_line(words)}" for words in swept.left_out]
    return lines


def told_judgements(swept: Swept) -> tuple[list[Judgement], str]:
    """Those that are told one by one, and the operations for which there is no expectation."""
    judged = [each for each in swept.judgements if each.code != "no_expectation"]
    others = [str(each.evidence.get("operation", "")) for each in swept.judgements if each.code == "no_expectation"]
    return judged, ", ".join(dict.fromkeys(others))


def sweep_tables(result: RunResult) -> list[str]:
    """nccl-tests' table of the sweep over all nodes; of a run over one node, of that inside it."""
    tables = []
    for swept in shown_sweeps(result):
        devices = rank_devices(result, swept.nodes)
        table = render_table(middle_rows(swept.rows), devices if len(devices) <= _MOST_DEVICES else ())
        tables.append(table.rstrip("\n"))
    return [table for table in tables if table]


def shown_sweeps(result: RunResult) -> tuple[Swept, ...]:
    """Sweeps that are told one by one."""
    sweeps = result.network.sweeps if result.network else ()
    return sweeps if len(result.verdicts) == 1 else result.group_sweeps


def inside_rows(result: RunResult) -> list[InsideRow]:
    """Of a run over several nodes, what its nodes gave by themselves, beside each other."""
    sweeps = result.network.sweeps if result.network and len(result.verdicts) > 1 else ()
    values: dict[tuple[str, int], dict[str, float]] = {}
    for swept in sweeps:
        if swept.scope == INSIDE and swept.rows:
            for row in middle_rows(swept.rows):
                of_case = values.setdefault((_label(row), row.case.size_bytes), {})
                of_case[swept.nodes[0]] = row.busbw_bytes_per_second
    found = []
    for label in dict.fromkeys(label for label, _ in values):
        size = max(each for one, each in values if one == label)
        by_node = values[label, size]
        lowest = min(by_node, key=lambda node: by_node[node])
        found.append(
            InsideRow(
                operation=label,
                num_nodes=len(by_node),
                size=show_size(size),
                middle=show_rate(median(by_node.values()), BYTES),
                lowest=f"{lowest} {show_rate(by_node[lowest], BYTES)}",
            )
        )
    return found


def sweep_charts(result: RunResult) -> list[Chart]:
    """Bus bandwidth over size, a line an operation, format, algorithm and place; wrong sums are crosses."""
    return [
        _chart(swept, f"sweep-{number}") for number, swept in enumerate(shown_sweeps(result)) if _is_curve(swept.rows)
    ]


def _is_curve(rows: Sequence[CollectiveRow]) -> bool:
    return len({row.case.size_bytes for row in rows}) > 1


def _chart(swept: Swept, key: str) -> Chart:
    lines: dict[str, list[CollectiveRow]] = {}
    for row in sorted(middle_rows(swept.rows), key=lambda row: row.case.size_bytes):
        lines.setdefault(_label(row), []).append(row)
    colours = {operation: PALETTE[i % len(PALETTE)] for i, operation in enumerate(_operations(swept.rows))}
    traces: list[object] = [_trace(name, rows, colours[rows[0].case.operation]) for name, rows in lines.items()]
    wrong = [row for rows in lines.values() for row in rows if row.num_wrong]
    if wrong:
        traces.append(_crosses(wrong))
    typical = _typical(swept)
    if typical:
        traces.append(_level(typical, [row.case.size_bytes for row in swept.rows]))
    notes = [f"dotted: {show_rate(typical, BYTES)}, which is typical from 1 GiB up" if typical else ""]
    notes.append("✕ wrong elements" if wrong else "")
    where = f"over {count_of(len(swept.nodes), 'node')}" if swept.scope == BETWEEN else f"inside {swept.nodes[0]}"
    return Chart(
        key=key,
        title=f"Bus bandwidth {where}",
        note="; ".join(note for note in notes if note),
        figure={
            "data": traces,
            "layout": {
                "xaxis": {"type": "log", "title": {"text": "bytes"}},
                "yaxis": {"type": "log", "title": {"text": "GB/s"}},
                "showlegend": len(lines) > 1,
                "shapes": [],
                "annotations": [],
            },
        },
    )


def _trace(name: str, rows: Sequence[CollectiveRow], colour: str) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [row.case.size_bytes for row in rows],
        "y": [row.busbw_bytes_per_second / 1e9 for row in rows],
        "line": {"color": colour, "dash": _DASH[rows[0].case.is_in_place]},
        "hovertemplate": "%{x} B: %{y:.4g} GB/s<extra>" + name + "</extra>",
    }


def _crosses(rows: Sequence[CollectiveRow]) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "wrong elements",
        "x": [row.case.size_bytes for row in rows],
        "y": [row.busbw_bytes_per_second / 1e9 for row in rows],
        "marker": {"symbol": "x", "size": 12, "color": "#D55E00"},
        "hovertemplate": "wrong elements at %{x} B<extra></extra>",
    }


def _level(value: float, sizes: Sequence[int]) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "typical",
        "x": [min(sizes), max(sizes)],
        "y": [value / 1e9] * 2,
        "line": {"dash": "dot", "width": 1, "color": "#7F7F7F"},
        "hovertemplate": "typical: %{y:.4g} GB/s<extra></extra>",
    }


def _typical(swept: Swept) -> float | None:
    """Of one operation: of several the levels would not be told apart."""
    found = {each.evidence.get("expected") for each in swept.judgements if each.verdict is not Verdict.SKIPPED}
    [value, *others] = [*found, None]
    return value if isinstance(value, float) and len(others) == 1 else None


def _operations(rows: Sequence[CollectiveRow]) -> list[str]:
    return list(dict.fromkeys(row.case.operation for row in rows))


def _label(row: CollectiveRow) -> str:
    """``all_reduce bfloat16 Ring, in place``."""
    case = row.case
    words = [
        case.operation,
        *([case.dtype] if case.dtype != "float" else []),
        *([case.algorithm] if case.algorithm else []),
    ]
    return " ".join(words) + (", in place" if case.is_in_place else "")
