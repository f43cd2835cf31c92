"""The JSON of nvbandwidth (``-j``): numbers are written as strings, in GB/s, latencies in microseconds."""

import re
from collections.abc import Iterator, Mapping

from fryer.imports.facts import NODE, Check, Device, Fact, Facts, Malformed, Notice, Outcome
from fryer.imports.json_text import child, load, number, objects, words
from fryer.imports.nvbandwidth_matrix import cells, device_of

_OUTCOMES = {
    "passed": Outcome.PASS,
    "waived": Outcome.SKIP,
    "error": Outcome.ERROR,
    "not found": Outcome.ERROR,
    "running": Outcome.ERROR,
}


def recognise(text: str) -> bool:
    """True for such a document, whole or cut off."""
    return bool(re.search(r'"nvbandwidth"\s*:', text[:200_000]))


def parse(text: str) -> Facts:
    """Every test case, with a fact for each cell of its matrix."""
    inner = child(load(text), "nvbandwidth")
    if not isinstance(inner, dict):
        raise Malformed("nvbandwidth's object is missing in its JSON")
    cases = list(objects(inner.get("testcases")))
    facts = [fact for case in cases for fact in _facts(case)]
    told = words(inner.get("error")).strip()
    devices = tuple(_devices(inner)) or tuple(
        Device(name=name) for name in dict.fromkeys(fact.subject for fact in facts) if name != NODE
    )
    return Facts(
        devices=devices,
        facts=tuple(facts),
        checks=tuple(_check(case) for case in cases),
        missing=() if cases or told else ("no test case is in it",),
        failures=(f"nvbandwidth says: {told[:300]}",) if told else (),
    )


def _devices(inner: Mapping[str, object]) -> Iterator[Device]:
    listed = inner.get("GPU Device list", inner.get("GPU Device info"))
    for each in listed if isinstance(listed, list) else []:
        device = device_of(each) if isinstance(each, str) else None
        if device:
            yield device


def _facts(case: Mapping[str, object]) -> Iterator[Fact]:
    matrix = case.get("bandwidth_matrix")
    rows = [
        [number(value) for value in (row if isinstance(row, list) else [row])]
        for row in (matrix if isinstance(matrix, list) else [])
    ]
    description = words(case.get("bandwidth_description"))
    unit = "us" if "(us)" in description else "GB/s"
    yield from cells(words(case.get("name")), description, rows, scale=1e-6 if unit == "us" else 1e9, unit=unit)


def _check(case: Mapping[str, object]) -> Check:
    status, error = words(case.get("status")), words(case.get("error")).strip()
    result = _OUTCOMES.get(status.lower(), Outcome.UNKNOWN)
    if result is Outcome.PASS and not isinstance(case.get("bandwidth_matrix"), list):
        result = Outcome.ERROR
    if "Invalid value" in error:
        result = Outcome.FAIL
    return Check(
        name=words(case.get("name")) or "a test case without a name",
        subject=NODE,
        outcome=Outcome.ERROR if error and result is Outcome.PASS else result,
        notices=(Notice(message=error[:300]),) if error else (),
    )
