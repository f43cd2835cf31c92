"""The table that ``dcgmi diag`` prints, of DCGM 3 (``Pass - All``) and 4 (``GPU0: Pass``)."""

import re
from dataclasses import dataclass, field, replace

from fryer.imports.dcgm_words import bandwidth_facts, gpu, outcome
from fryer.imports.facts import NODE, Check, Device, Facts, Notice, Outcome

_HEADING = re.compile(r"^\|\s*Diagnostic\s*\|\s*Result\s*\|")
_CATEGORY = re.compile(r"^[|+]-{2,}\s+(\w[\w ]*?)\s+-{2,}\+-+[|+]\s*$")
_ROW = re.compile(r"^\|(?P<name>[^|]*)\|(?P<value>.*)\|\s*$")
_END = re.compile(r"^\+-+\+-+\+\s*$")
_RESULT = re.compile(
    r"^(?P<word>Pass|Fail|Skip|Warn|Not Run|Error)\b(?:\s*-\s*(?P<who>All\b|GPUs?:?\s*\d[\d, ]*))?:?\s*(?P<rest>.*)$",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"^(?P<group>[A-Z][A-Za-z]*?)(?P<index>\d{1,4}): (?P<word>Pass|Fail|Skip|Warn|Not Run|Error)$")
_TEXT = re.compile(r"^(?P<kind>Info|Warning|Error)(?::\s*(?P<group>[A-Za-z]+?)(?P<index>\d{1,4}))?$")
_METADATA = re.compile(r"Version|Detected")
_GPU = re.compile(r"\bGPU:? ?(\d{1,4})\b")
_FAILED = re.compile(r"^Error: (.+)|^(Aborting the iterative runs.+)", re.MULTILINE)
_ITERATION = re.compile(r"Running iteration (\d+) of (\d+)")
_MESSAGE_WIDTH = 45
"""dcgmi cuts messages into pieces of so many characters, also in the middle of a word."""


@dataclass(slots=True)
class _Test:
    """A test while its rows are read."""

    name: str
    category: str
    results: list[tuple[str, Outcome]] = field(default_factory=list)
    texts: list[list[str]] = field(default_factory=list)
    """``[kind, subject, pieces...]`` of each message."""


def recognise(text: str) -> bool:
    """True for such a table, or for the sentence that dcgmi says in its place."""
    return bool(
        re.search(r"^Successfully ran diagnostic for group|^\|\s*Diagnostic\s*\|\s*Result", text, re.MULTILINE)
        or re.search(r"^Error: .*[Dd]iagnostic", text, re.MULTILINE)
    )


def parse(text: str) -> Facts:
    """Every test of every table in the text."""
    tests: list[_Test] = []
    ids: list[str] = []
    category, num_tables, num_ended = "", 0, 0
    for line in text.split("\n"):
        if _HEADING.match(line):
            num_tables += 1
        elif found := _CATEGORY.match(line):
            category = found[1]
        elif _END.match(line):
            num_ended += bool(tests) and num_ended < num_tables
        elif found := _ROW.match(line):
            _take(tests, ids, category, found["name"].strip(), found["value"])
    devices = [Device(name=gpu(index), part=f"device {each}") for index, each in enumerate(ids)]
    checks = [check for test in tests for check in _checks(test, [device.name for device in devices])]
    named = {check.subject for check in checks} - {NODE} - {device.name for device in devices}
    failures = [one or other for one, other in _FAILED.findall(text)]
    return Facts(
        devices=(*devices, *(Device(name=name) for name in sorted(named, key=lambda name: (len(name), name)))),
        checks=tuple(checks),
        facts=tuple(fact for test in tests for text in test.texts for fact in bandwidth_facts(_joined(text))),
        missing=tuple(_missing(text, tests, num_tables, num_ended, failed=bool(failures))),
        failures=tuple(f"dcgmi says: {each[:300]}" for each in failures[:3]),
    )


def _missing(text: str, tests: list[_Test], num_tables: int, num_ended: int, *, failed: bool) -> list[str]:
    if not tests:
        return [] if failed else ["no test is in it: the table of results is missing"]
    missing = []
    if num_ended < num_tables:
        missing.append(f"the table ends after the test {tests[-1].name!r}: its last line is missing")
    rounds = _ITERATION.findall(text)
    if rounds and len(rounds) < int(rounds[-1][1]) and not failed:
        missing.append(f"{len(rounds)} of {rounds[-1][1]} iterations are there")
    return missing


def _take(tests: list[_Test], ids: list[str], category: str, name: str, value: str) -> None:
    words = value.strip()
    if category == "Metadata" and _METADATA.search(name):
        if name.startswith("GPU Device IDs"):
            ids[:] = [each.strip() for each in words.split(",") if each.strip()]
        return
    text = _TEXT.match(name)
    if text and tests:
        subject = f"{text['group'].lower()}{text['index']}" if text["group"] else ""
        tests[-1].texts.append([text["kind"], subject, value])
    elif name:
        tests.append(_Test(name=name, category=category))
        _result(tests[-1], words)
    elif tests:
        _continued(tests[-1], words, value)


def _continued(test: _Test, words: str, value: str) -> None:
    """A row without a name: another result of the test, or the next piece of its last message."""
    if found := _ENTITY.match(words):
        test.results.append((f"{found['group'].lower()}{found['index']}", outcome(found["word"])))
    elif not test.texts and _RESULT.match(words):
        _result(test, words)
    elif test.texts:
        test.texts[-1].append(value)


def _result(test: _Test, words: str) -> None:
    found = _RESULT.match(words)
    if found is None:
        test.results.append((NODE, Outcome.UNKNOWN))
        return
    who = found["who"] or ""
    numbers = re.findall(r"\d{1,4}", who)
    result = outcome(found["word"])
    test.results += [(gpu(int(each)), result) for each in numbers] or [(who.strip() and "*", result)]
    if found["rest"]:
        test.texts.append(["Warning", "", found["rest"]])


def _checks(test: _Test, devices: list[str]) -> list[Check]:
    """``*`` stands for all GPUs: each of them where they are known."""
    info = tuple(_joined(text) for text in test.texts if text[0] == "Info")
    bare = [
        Check(
            name=test.name,
            subject=NODE if subject == "*" else subject,
            outcome=result,
            category=test.category,
            info=info,
        )
        for subject, result in test.results
        for subject in (devices if subject == "*" and devices else [subject])
    ]
    return [replace(check, notices=tuple(_notices(test, check, bare))) for check in bare]


def _notices(test: _Test, check: Check, checks: list[Check]) -> list[Notice]:
    """Messages that name the check's GPU; those that name none belong to all that did not pass."""
    is_clean = check.outcome is Outcome.PASS and any(other.outcome is not Outcome.PASS for other in checks)
    notices = []
    for text in test.texts:
        message = _joined(text)
        named = {text[1]} if text[1] else {gpu(int(each)) for each in _GPU.findall(message)}
        named &= {other.subject for other in checks}
        if text[0] != "Info" and (check.subject in named if named else not is_clean):
            notices.append(Notice(message=message))
    return notices


def _joined(text: list[str]) -> str:
    return "".join(piece[1 : 1 + _MESSAGE_WIDTH] if piece.startswith(" ") else piece for piece in text[2:]).strip()
