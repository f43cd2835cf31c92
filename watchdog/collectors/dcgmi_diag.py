"""What `dcgmi diag` printed, DCGM 3 and 4, JSON and table. Pure. Only a report that is whole and says Pass is a pass.

DCGM 4 keeps a limited number of results, errors and infos: on a node with many GPUs the later ones may lack theirs. A
missing info changes nothing; a GPU without a result in a test that other GPUs have one in leaves the matter open.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watchdog.vocabulary.verdicts import Verdict, gravest

_WORDS = {
    "pass": Verdict.PASS,
    "warn": Verdict.WARN,
    "fail": Verdict.FAIL,
    "skip": Verdict.SKIPPED,
    "not run": Verdict.SKIPPED,
}
"""As dcgmi writes a result (`HelperDisplayDiagResult` of its Diag.cpp)."""
_ROOTS = ("DCGM Diagnostic", "DCGM GPU Diagnostic")
"""Of DCGM 4 and 3."""
_TABLE_BEGIN, _TABLE_END = "Successfully ran diagnostic", re.compile(r"\+-+\+-+\+")
_MESSAGES = ("Info", "Warning")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagTest:
    """One test, on one GPU or on the node as a whole."""

    name: str
    verdict: Verdict
    gpu: int | None = None
    """DCGM's GPU id; None: of the whole."""
    messages: tuple[str, ...] = ()
    """Warnings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagReport:
    """What was concluded, and from what."""

    verdict: Verdict
    reason: str = ""
    """Why it is not a pass; empty for one."""
    tests: tuple[DiagTest, ...] = ()


def parse_diag(text: str, num_gpus: int | None = None) -> DiagReport:
    """Read a report; `num_gpus` is how many GPUs must be in it. INCONCLUSIVE for an empty, cut off or strange one."""
    if not text.strip():
        return DiagReport(verdict=Verdict.INCONCLUSIVE, reason="dcgmi diag printed nothing")
    begin = text.find("{")
    is_json = begin >= 0 and _TABLE_BEGIN not in text
    try:
        if not is_json:
            return _concluded(list(_table_tests(text)), set(), num_gpus)
        document, end = json.JSONDecoder().raw_decode(text, begin)
        if text[end:].strip():
            raise ValueError(f"{text[end:].strip()[:60]!r} stands behind it")
        return _of_document(document, num_gpus)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"the report of dcgmi diag is cut off or strange: {error!s:.200}"
        return DiagReport(verdict=Verdict.INCONCLUSIVE, reason=reason)


def _of_document(document: Mapping[str, Any], num_gpus: int | None) -> DiagReport:
    if "iterations" in document:
        reports = [_of_document(one, num_gpus) for one in document["iterations"]]
        verdict = gravest([*(report.verdict for report in reports), _word(document["Overall Result"])])
        reason = next((report.reason for report in reports if report.reason), "")
        return DiagReport(verdict=verdict, reason=reason, tests=tuple(test for one in reports for test in one.tests))
    root = next((document[name] for name in _ROOTS if name in document), document)
    if "runtime_error" in root:
        return DiagReport(verdict=Verdict.ERROR, reason=f"dcgmi diag did not run: {root['runtime_error']}")
    if "results" in root:  # one test by itself
        return _concluded(list(_tests(root)), set(), num_gpus)
    tests = [test for category in root["test_categories"] for one in category["tests"] for test in _tests(one)]
    return _concluded(tests, set(_listed(document)), num_gpus)


def _listed(document: Mapping[str, Any]) -> Iterator[int]:
    """GPUs that the report is about, as its head lists them (DCGM 4)."""
    for group in document.get("entity_groups", ()):
        if group["entity_group"] == "GPU":
            yield from (int(entity["entity_id"]) for entity in group["entities"])


def _tests(test: Mapping[str, Any]) -> Iterator[DiagTest]:
    """A test's results and its summary; raises KeyError where there is neither."""
    name = str(test["name"])
    results = list(test.get("results", ()))
    if "test_summary" in test:
        results.append(test["test_summary"])
    if not results:
        raise KeyError(f"test {name!r} has no result")
    for result in results:
        is_gpu = "gpu_id" in result or result.get("entity_group") == "GPU"
        gpu = result.get("gpu_id", result.get("entity_id")) if is_gpu else None
        yield DiagTest(
            name=name,
            verdict=_word(result["status"]),
            gpu=None if gpu is None else int(gpu),
            messages=tuple(_warnings(result.get("warnings", ()))),
        )


def _warnings(found: Sequence[Any]) -> Iterator[str]:
    """DCGM 4 and the plugins of 3 write ``warning``, the software tests of 3 ``warnings``; either may be plain text."""
    for one in found:
        if isinstance(one, str):
            yield one
        elif one is not None:
            yield str(one.get("warning", one.get("warnings", one)))


def _word(text: str) -> Verdict:
    found = _WORDS.get(text.partition(" - ")[0].strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is no result")
    return found


def _table_tests(text: str) -> Iterator[DiagTest]:
    """Rows of the table; raises ValueError where it has no end: it was cut off."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    if _TABLE_BEGIN not in text or _TABLE_END.fullmatch(lines[-1]) is None:
        raise ValueError(f"it ends with {lines[-1][:80]!r}")
    name = ""
    is_result = False
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|--") and "Metadata" in line:
            is_result = False
        elif re.match(r"[|+]-+ {2}\w", line):
            is_result = True
        elif is_result and line.startswith("|") and len(cells) == 2:
            name = cells[0] or name
            yield from _row(name, cells)


def _row(name: str, cells: Sequence[str]) -> Iterator[DiagTest]:
    if name in _MESSAGES:
        return
    part = re.fullmatch(r"([A-Za-z]+)\s?(\d+): (.+)", cells[1])
    if cells[0]:
        yield DiagTest(name=name, verdict=_word(cells[1]))
    elif part is None:
        raise ValueError(f"{cells[1]!r} is no result of {name}")
    elif part[1] == "GPU":
        yield DiagTest(name=name, verdict=_word(part[3]), gpu=int(part[2]))
    else:
        yield DiagTest(name=f"{name}, {part[1]} {part[2]}", verdict=_word(part[3]))


def _concluded(tests: Sequence[DiagTest], listed: set[int], num_gpus: int | None) -> DiagReport:
    verdict = gravest(test.verdict for test in tests)
    if verdict is Verdict.SKIPPED:
        return DiagReport(verdict=Verdict.INCONCLUSIVE, reason="dcgmi diag ran no test", tests=tuple(tests))
    reason = ""
    if verdict is Verdict.PASS:
        reason = _gap(tests, listed, num_gpus)
        verdict = Verdict.INCONCLUSIVE if reason else verdict
    else:
        worst = next(test for test in tests if test.verdict is verdict)
        where = f" on GPU {worst.gpu}" if worst.gpu is not None else ""
        reason = f"{worst.name}: {worst.verdict}{where}" + "".join(f"; {message}" for message in worst.messages)
    return DiagReport(verdict=verdict, reason=reason, tests=tuple(tests))


def _gap(tests: Sequence[DiagTest], listed: set[int], num_gpus: int | None) -> str:
    """What keeps a report without a fault from being a pass; empty when nothing does."""
    by_test: dict[str, set[int]] = {}
    for test in tests:
        if test.gpu is not None:
            by_test.setdefault(test.name, set()).add(test.gpu)
    everyone = listed.union(*by_test.values())
    if num_gpus is not None and by_test and len(everyone) < num_gpus:
        return f"dcgmi diag reports on {len(everyone)} GPUs of {num_gpus}"
    for name, gpus in by_test.items():
        missing = sorted(everyone - gpus)
        if missing:
            return f"{name}: GPU {missing[0]} has no result"
    return ""
