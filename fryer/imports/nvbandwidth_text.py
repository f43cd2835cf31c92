"""The text of nvbandwidth: a matrix for each test case. GB/s are decimal; latencies are microseconds."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fryer.imports.facts import NODE, Check, Device, Fact, Facts, Notice, Outcome
from fryer.imports.json_text import number
from fryer.imports.nvbandwidth_matrix import cells, device_of

_RUNNING = re.compile(r"^Running (?P<name>[a-z][a-z0-9_]{3,80})\.\s*$")
_STATUS = re.compile(r"^(?P<word>Waived|WAIVED|ERROR|Error|Not Found):\s*(?P<why>.*)$")
_UNIT = re.compile(r"(?:bandwidth|latency) \((?P<unit>GB/s|us)\)\s*$")
_SUM = re.compile(r"^(?:SUM|&&&& PERF) (?P<name>\S+) ")
_COLUMNS = re.compile(r"^\s+\d+(?:\s+\d+)*\s*$")
_ROW = re.compile(r"^\s*\d+(?P<values>(?:\s+(?:\d+\.\d+|N/A|nan|-?inf))+)\s*$")
_VERSION = re.compile(r"^nvbandwidth Version: v?(?P<major>\d+)\.(?P<minor>\d+)", re.MULTILINE)
_LAST_LINES = "NOTE: This tool reports current measured bandwidth"
_MARKS_ITS_END = (0, 6)
"""From this version on the note is printed last (main of nvbandwidth.cpp); before it came first."""
_WRONG = "Invalid value when checking the pattern"
_TROUBLE = re.compile(
    r"^(?:\[?CU(?:DA)?_ERROR\w*.*|\[?NVML_ERROR\w*.*|.*(?:Segmentation fault|core dumped|ASSERT\b).*)$"
)


@dataclass(slots=True)
class _Case:
    """A test case while its lines are read."""

    name: str
    unit: str = ""
    description: str = ""
    has_columns: bool = False
    rows: list[list[float | None]] = field(default_factory=list)
    is_ended: bool = False
    outcome: Outcome = Outcome.PASS
    notices: list[str] = field(default_factory=list)
    matrices: list[tuple[str, str, list[list[float | None]]]] = field(default_factory=list)


def recognise(text: str) -> bool:
    """True for nvbandwidth's text, or the part of it that is left."""
    return "nvbandwidth Version" in text or bool(re.search(r"^Running [a-z_]+memcpy[a-z_]*\.$", text, re.MULTILINE))


def parse(text: str) -> Facts:
    """Every test case, with a fact for each cell of its matrices."""
    cases: list[_Case] = []
    devices: list[Device] = []
    troubles: list[str] = []
    for line in text.split("\n"):
        if found := _RUNNING.match(line):
            cases.append(_Case(name=found["name"]))
        elif device := device_of(line):
            devices.append(device)
        elif _TROUBLE.match(line.strip()):
            troubles.append(line.strip()[:200])
        elif cases:
            _take(cases[-1], line)
    facts = [
        fact
        for case in cases
        for description, unit, rows in case.matrices
        for fact in cells(case.name, description, rows, scale=1e9 if unit == "GB/s" else 1e-6, unit=unit)
    ]
    return Facts(
        devices=tuple(devices) or _of(facts),
        facts=(*facts, Fact(subject=NODE, metric="marks_its_end", value=_marks_its_end(text))),
        checks=tuple(_check(case) for case in cases),
        missing=tuple(_missing(text, cases)),
        failures=tuple(f"nvbandwidth says: {each}" for each in troubles[:2]),
    )


def _of(facts: Sequence[Fact]) -> tuple[Device, ...]:
    return tuple(Device(name=name) for name in dict.fromkeys(fact.subject for fact in facts) if name != NODE)


def _take(case: _Case, line: str) -> None:
    if found := _STATUS.match(line.strip()):
        case.outcome = Outcome.SKIP if found["word"].lower() == "waived" else Outcome.ERROR
        case.notices.append(found["why"])
        case.is_ended = True
    elif _WRONG in line:
        case.outcome = Outcome.FAIL
        case.notices.append(line.strip())
    elif found := _UNIT.search(line):
        case.unit, case.description, case.has_columns, case.is_ended = found["unit"], line.strip(), False, False
        case.rows = []
    elif _SUM.match(line):
        case.matrices.append((case.description, case.unit, case.rows))
        case.is_ended = bool(case.rows)
    elif case.unit and not case.has_columns and _COLUMNS.match(line):
        case.has_columns = True
    elif case.has_columns and (row := _ROW.match(line)):
        case.rows.append([number(value) for value in row["values"].split()])


def _check(case: _Case) -> Check:
    return Check(
        name=case.name,
        subject=NODE,
        outcome=case.outcome if case.is_ended else Outcome.ERROR,
        notices=tuple(Notice(message=each) for each in case.notices if each),
    )


def _marks_its_end(text: str) -> bool:
    version = _VERSION.search(text)
    return version is None or (int(version["major"]), int(version["minor"])) >= _MARKS_ITS_END


def _missing(text: str, cases: Sequence[_Case]) -> Iterator[str]:
    for case in cases:
        if not case.is_ended:
            yield f"{case.name} has begun and its matrix or the sum below it is missing"
    if not cases:
        yield "no test case is in it"
    version = _VERSION.search(text)
    if version is None:
        yield "the first lines, which give the version, are missing"
    elif _marks_its_end(text) and _LAST_LINES not in text[text.rfind("\nRunning ") :]:
        yield "the note that ends the output is missing, so test cases may be too"
