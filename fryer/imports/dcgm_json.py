"""The JSON of ``dcgmi diag -j``, of DCGM 2 to 4.

Keys moved: 3 has all under ``DCGM GPU Diagnostic`` and names GPUs by ``gpu_ids``; 4 says ``DCGM Diagnostic``, has
``entity_group`` and ``entity_id``, and a ``test_summary``. A single test cut out of such a document is read too.
"""

import re
from collections.abc import Iterator, Mapping

from fryer.imports.dcgm_words import bandwidth_facts, gpu, outcome
from fryer.imports.facts import NODE, Check, Device, Facts, Malformed, Notice
from fryer.imports.json_text import child, load, objects, whole, words

_ROOT = re.compile(r"DCGM.*Diagnostic")
_MOST_GPUS = 1024


def recognise(text: str) -> bool:
    """True for such a document, whole or cut off, or for one test of it."""
    head = text[:200_000]
    return bool(re.search(r'"DCGM (?:GPU )?Diagnostic"|"test_categories"', head)) or (
        '"entity_group"' in head and '"status"' in head
    )


def parse(text: str) -> Facts:
    """Every test of every iteration."""
    root = load(text)
    if not isinstance(root, dict):
        raise Malformed("its JSON is no object, as that of dcgmi diag is")
    rounds = list(objects(root.get("iterations"))) or [root]
    checks = [check for each in rounds for test, category in _tests(each) for check in _checks(test, category)]
    devices = {device.name: device for each in rounds for device in _devices(each)}
    for check in checks:
        if check.subject != NODE:
            devices.setdefault(check.subject, Device(name=check.subject))
    failures = [error for each in (root, *rounds) for error in _errors(each)]
    missing = [] if checks or failures else ["no test is in it: test_categories is missing or empty"]
    return Facts(
        devices=tuple(devices.values()),
        checks=tuple(checks),
        facts=tuple(fact for check in checks for info in check.info for fact in bandwidth_facts(info)),
        missing=tuple(missing),
        failures=tuple(dict.fromkeys(failures)),
    )


def _inner(root: Mapping[str, object]) -> Mapping[str, object]:
    found = next((value for key, value in root.items() if _ROOT.fullmatch(key)), root)
    return found if isinstance(found, dict) else {}


def _tests(root: Mapping[str, object]) -> Iterator[tuple[Mapping[str, object], str]]:
    inner = _inner(root)
    for category in objects(inner.get("test_categories")):
        for test in objects(category.get("tests")):
            yield test, words(category.get("category"))
    for test in objects(inner.get("tests")):
        yield test, ""
    if isinstance(inner.get("results"), list):
        yield inner, ""


def _checks(test: Mapping[str, object], category: str) -> Iterator[Check]:
    name = words(test.get("name")) or "a test without a name"
    for result in objects(test.get("results")):
        for subject in _subjects(result):
            yield _check(name, category, subject, result)
    summary = test.get("test_summary")
    if isinstance(summary, dict):
        yield _check(name, category, NODE, summary)
    elif not list(objects(test.get("results"))):
        yield Check(name=name, subject=NODE, category=category, outcome=outcome(""))


def _check(name: str, category: str, subject: str, result: Mapping[str, object]) -> Check:
    return Check(
        name=name,
        subject=subject,
        category=category,
        outcome=outcome(words(result.get("status"))),
        notices=tuple(_notices(result.get("warnings"))),
        info=tuple(_lines(result.get("info"))),
    )


def _subjects(result: Mapping[str, object]) -> list[str]:
    entity = whole(result.get("entity_id"))
    if entity is not None:
        return [f"{(words(result.get('entity_group')) or 'GPU').lower()}{entity}"]
    ids = result.get("gpu_ids", result.get("gpu_id"))
    listed = ids.split(",") if isinstance(ids, str) else ids if isinstance(ids, list) else [ids]
    return [gpu(number) for each in listed if (number := whole(each)) is not None] or [NODE]


def _notices(warnings: object) -> Iterator[Notice]:
    for each in warnings if isinstance(warnings, list) else [warnings]:
        if isinstance(each, str) and each:
            yield Notice(message=each)
        elif isinstance(each, dict):
            yield Notice(
                message=words(each.get("warning")) or "a warning without words",
                error_id=whole(each.get("error_id")),
                severity=whole(each.get("error_severity")),
                category=whole(each.get("error_category")),
            )


def _lines(info: object) -> list[str]:
    return [each for each in (info if isinstance(info, list) else [info]) if isinstance(each, str) and each]


def _devices(root: Mapping[str, object]) -> Iterator[Device]:
    inner = _inner(root)
    for group in objects(root.get("entity_groups")):
        for entity in objects(group.get("entities")):
            index = whole(entity.get("entity_id"))
            if index is not None:
                name = f"{(words(group.get('entity_group')) or 'GPU').lower()}{index}"
                yield Device(name=name, part=_id(entity.get("device_id")), serial=words(entity.get("serial_num")))
    ids, serials = inner.get("GPU Device IDs"), inner.get("GPU Device Serials")
    for index, device_id in enumerate(ids[:_MOST_GPUS] if isinstance(ids, list) else []):
        yield Device(name=gpu(index), part=_id(device_id), serial=words(child(serials, str(index))))


def _id(value: object) -> str:
    return f"device {value}" if isinstance(value, str) and value else ""


def _errors(root: Mapping[str, object]) -> Iterator[str]:
    inner = _inner(root)
    told = words(inner.get("runtime_error")) or words(inner.get("Error"))
    if told:
        yield f"the diagnostic did not run: {told.strip()[:300]}"
    if words(root.get("Overall Result")).lower() == "fail":
        yield f"dcgmi stopped its iterations: {words(root.get('warning')) or 'Fail'}"
