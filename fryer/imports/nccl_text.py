"""nccl-tests' table. Columns are taken from its heading, since they differ by version and flags (``-I``, ``-c 0``)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from fryer.imports.facts import CollectiveFigure, CollectiveRun, Facts
from fryer.imports.json_text import number
from fryer.imports.nccl_operation import operation_in, operation_of_figures

_HEADING = re.compile(r"^\s*#?\s*size\s+count\s+type\b.*\bbusbw\b")
_ROW = re.compile(r"^\s*\d+\s+\d+\s+[a-z]\w*\s")
_RANK = re.compile(
    r"^\s*#?\s*Rank\s+(?P<rank>\d+)\s+(?:Group\s+(?P<group>\d+)\s+)?Pid\s+\d+\s+on\s+(?P<host>\S+)\s+"
    r"device\s+\d+\s+\[[^\]]*\]\s*(?P<part>.*)$"
)
_BOUNDS = re.compile(r"Out of bounds values\s*:\s*(?P<count>\d+)\s*(?P<word>\w*)")
_AVERAGE = re.compile(r"Avg bus bandwidth\s*:\s*(?P<value>\S+)\s*(?P<word>\w*)")
_CRASH = re.compile(
    r"Test (?:NCCL|CUDA) failure|Test failure|Segmentation fault|core dumped|MPI_ABORT|MPI_Abort|Bus error|"
    r"srun: error|DUE TO TIME LIMIT|oom-kill|Out Of Memory|Invalid number of GPUs|# error:|Test timeout|"
    r"unhandled (?:cuda|system) error|mpirun (?:noticed|detected)|exited on signal"
)
_FIRST_LINE = re.compile(r"nThread\s+\d+\s+nGpus\s+\d+")
_TIMES = frozenset({"time", "cputime"})
_GIGA, _MICRO = 1e9, 1e-6


@dataclass(slots=True)
class _Run:
    """A run while its lines are read."""

    operation: str | None
    header: list[str] = field(default_factory=list)
    figures: list[CollectiveFigure] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    hosts: dict[str, None] = field(default_factory=dict)
    parts: dict[str, None] = field(default_factory=dict)
    broken_rows: int = 0
    num_out_of_bounds: int | None = None
    is_below_own_limit: bool = False


def recognise(text: str) -> bool:
    """True for a table of nccl-tests, or the part of one that is left of it."""
    return bool(_FIRST_LINE.search(text)) or any(
        sign in text for sign in ("Collective test starting:", "Out of bounds values", "#wrong")
    )


def parse(text: str) -> Facts:
    """Each run of the file with its rows; a run without its last lines is missing them."""
    runs: list[_Run] = []
    named: str | None = None
    crashes: list[str] = []
    for line in text.split("\n"):
        operation = operation_in(line)
        named = operation or named
        if _CRASH.search(line):
            crashes.append(line.strip(" #"))
        if _FIRST_LINE.search(line):
            runs.append(_Run(operation=named))
        elif runs:
            runs[-1].operation = runs[-1].operation or operation
            _take(runs[-1], line)
    for run in runs:
        run.operation = run.operation or operation_of_figures(run.figures, _num_ranks(run))
    missing = [sentence for index, run in enumerate(runs) for sentence in _missing(run, _name(run, index, runs))]
    if not runs:
        missing.append("the first lines of nccl-tests, which say what ran and on how many GPUs, are missing")
    told = tuple(f"the tool says: {line[:200]}" for line in crashes[:3])
    return Facts(
        runs=tuple(_frozen(run, _name(run, index, runs)) for index, run in enumerate(runs)),
        missing=tuple(missing),
        failures=told if missing else (),
        remarks=() if missing else told,
    )


def _take(run: _Run, line: str) -> None:
    if _HEADING.match(line):
        run.header = line.replace("#wrong", "wrong").replace("#", " ").split()
    elif found := _RANK.match(line):
        run.groups.append(found["group"] or "0")
        run.hosts[found["host"]] = None
        if found["part"].strip():
            run.parts[found["part"].strip()] = None
    elif found := _BOUNDS.search(line):
        run.num_out_of_bounds = int(found["count"])
        if found["word"] == "FAILED":
            run.num_out_of_bounds = max(1, run.num_out_of_bounds)
    elif found := _AVERAGE.search(line):
        run.is_below_own_limit = found["word"] == "FAILED"
    elif _ROW.match(line):
        figures = _figures(run.header, line.split())
        run.figures += figures
        run.broken_rows += not figures


def _figures(header: Sequence[str], cells: list[str]) -> list[CollectiveFigure]:
    """Out of place, and in place where the row has it; nothing for a row that does not fit its heading."""
    names = list(header)
    if "timestamp" in names:
        names.remove("timestamp")
        cells = cells[:-2]
    start = next((index for index, name in enumerate(names) if name in _TIMES), None)
    if start is None:
        return []
    names = names[start:]
    tail = cells[-len(names) :]
    if len(cells) < len(names) + 3:
        return []
    second = next((index for index, name in enumerate(names) if index and name in _TIMES), len(names))
    size = int(cells[0])
    halves = [(names[:second], tail[:second], False), (names[second:], tail[second:], True)]
    figures = [_figure(size, part, values, is_in_place) for part, values, is_in_place in halves if part]
    return [each for each in figures if each] if all(figures) else []


def _figure(size: int, names: Sequence[str], values: Sequence[str], is_in_place: bool) -> CollectiveFigure | None:
    cells = dict(zip(names, values, strict=False))
    times = number(cells.get("time", cells.get("cputime")))
    algbw, busbw = number(cells.get("algbw")), number(cells.get("busbw"))
    wrong = cells.get("wrong")
    if times is None or busbw is None or (wrong not in (None, "N/A") and number(wrong) is None):
        return None
    return CollectiveFigure(
        size_bytes=size,
        is_in_place=is_in_place,
        seconds=times * _MICRO,
        algbw_bytes_per_second=None if algbw is None else algbw * _GIGA,
        busbw_bytes_per_second=busbw * _GIGA,
        num_wrong=number(wrong),
    )


def _missing(run: _Run, name: str) -> list[str]:
    missing = []
    if not run.figures:
        missing.append(f"{name}: no row of its table is there")
    elif run.num_out_of_bounds is None:
        missing.append(
            f"{name}: the line 'Out of bounds values' that ends a run is missing after {len(run.figures)} figures"
        )
    if run.broken_rows:
        missing.append(f"{name}: {run.broken_rows} rows of its table are not whole")
    return missing


def _name(run: _Run, index: int, runs: Sequence[_Run]) -> str:
    name = f"{run.operation}_perf" if run.operation else "nccl-tests"
    return name if len(runs) == 1 else f"run {index + 1} ({name})"


def _num_ranks(run: _Run) -> int | None:
    """Of one group: with NCCL_TESTS_SPLIT several run side by side, and each prints its own table."""
    return sum(1 for group in run.groups if group == run.groups[0]) or None


def _frozen(run: _Run, name: str) -> CollectiveRun:
    return CollectiveRun(
        name=name,
        operation=run.operation,
        num_ranks=_num_ranks(run),
        num_nodes=len(run.hosts) or None,
        parts=tuple(run.parts),
        figures=tuple(run.figures),
        num_out_of_bounds=run.num_out_of_bounds,
        is_below_own_limit=run.is_below_own_limit,
    )
