"""gpu-fryer's NDJSON (``--json``): ``detected_gpus``, ``feature_detection``, ``progress``, ``results``, ``problems``.

It logs a throttle reason only where it is the only one set, so combinations count here as soon as a version names
them, and none being logged does not prove that there was none.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping

from fryer.imports.facts import NODE, Check, Device, Fact, Facts, Notice, Outcome
from fryer.imports.json_text import child, number, objects, whole, words

_TYPES = ("detected_gpus", "feature_detection", "progress", "results", "problems")
_REASONS = (
    ("hw_thermal", ("HW_THERMAL", "HWTHERMAL")),
    ("power_brake", ("POWER_BRAKE",)),
    ("sw_thermal", ("SW_THERMAL", "SWTHERMAL")),
    ("hw_slowdown", ("HW_SLOWDOWN", "HWSLOWDOWN")),
)
"""Metric, and what names it in a reason; several may stand in one."""


def recognise(text: str) -> bool:
    """True where a line is a document of gpu-fryer, whole or cut off."""
    return any(f'"type":"{kind}"' in text[:200_000].replace(" ", "") for kind in _TYPES[:3])


def parse(text: str) -> Facts:
    """Who the GPUs are, what they reached, for how many ticks they were slowed down, and what gpu-fryer says."""
    documents, broken = _documents(text)
    kinds = {kind: [each for each in documents if each.get("type") == kind] for kind in _TYPES}
    devices = [
        Device(name=f"gpu{index}", part=words(gpu.get("name")), uuid=words(gpu.get("uuid")))
        for each in kinds["detected_gpus"]
        for gpu in objects(each.get("detected_gpus"))
        if (index := whole(gpu.get("index"))) is not None
    ]
    facts = [*_formats(kinds["feature_detection"]), *_results(kinds["results"]), *_ticks(kinds["progress"])]
    named = {device.name for device in devices}
    others = sorted({fact.subject for fact in facts} - named - {NODE}, key=lambda name: (len(name), name))
    errors = [words(each.get("message")) for each in documents if "type" not in each and words(each.get("message"))]
    return Facts(
        devices=(*devices, *(Device(name=name) for name in others)),
        facts=tuple(facts),
        checks=tuple(_problems(kinds["problems"])),
        missing=tuple(_missing(kinds, broken)),
        failures=tuple(f"gpu-fryer says: {each[:300]}" for each in errors[:2]),
    )


def _documents(text: str) -> tuple[list[Mapping[str, object]], int]:
    """The documents, and how many lines begin as one and are none."""
    documents, broken = [], 0
    for line in text.split("\n"):
        if not line.lstrip().startswith("{"):
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            broken += 1
            continue
        documents.append(found)
    return documents, broken


def _formats(documents: list[Mapping[str, object]]) -> Iterator[Fact]:
    for each in documents[-1:]:
        used = [name for name in ("bf16", "fp8", "fp32") if each.get(name) is True]
        yield Fact(subject=NODE, metric="formats", value=" ".join(used))


def _results(documents: list[Mapping[str, object]]) -> Iterator[Fact]:
    for result in objects(child(documents[-1], "gpus")) if documents else ():
        burn = result.get("burn_result")
        index, average = whole(child(burn, "gpu_idx")), number(result.get("flops_avg"))
        if index is None:
            continue
        subject = f"gpu{index}"
        named = {
            "flops_per_second": average,
            "flops_min_per_second": number(child(burn, "flops_min")),
            "flops_max_per_second": number(child(burn, "flops_max")),
            "temperature_min_celsius": number(child(burn, "temp_min")),
            "temperature_max_celsius": number(child(burn, "temp_max")),
            "hw_slowdown_ticks": number(child(burn, "throttling_hw")),
            "sw_thermal_ticks": number(child(burn, "throttling_thermal_sw")),
            "hw_thermal_ticks": number(child(burn, "throttling_thermal_hw")),
        }
        yield from (Fact(subject=subject, metric=metric, value=v) for metric, v in named.items() if v is not None)


def _ticks(documents: list[Mapping[str, object]]) -> Iterator[Fact]:
    """How many ticks (a second each) were logged of each GPU, and in how many a reason was."""
    logged: Counter[str] = Counter()
    slowed: Counter[tuple[str, str]] = Counter()
    for each in documents:
        for gpu in objects(each.get("gpus")):
            index = whole(gpu.get("gpu_idx"))
            if index is None:
                continue
            logged[f"gpu{index}"] += 1
            reason = words(gpu.get("throttle_reason")).upper()
            slowed.update((f"gpu{index}", kind) for kind, signs in _REASONS if any(sign in reason for sign in signs))
    yield from (Fact(subject=subject, metric="ticks", value=float(count)) for subject, count in logged.items())
    for (subject, kind), count in slowed.items():
        yield Fact(subject=subject, metric=f"{kind}_ticks_logged", value=float(count))


def _problems(documents: list[Mapping[str, object]]) -> Iterator[Check]:
    for each in documents:
        for problem in objects(each.get("problems")):
            index, reason = whole(problem.get("gpu_idx")), words(problem.get("reason"))
            yield Check(
                name=reason or "a problem without a reason",
                subject=NODE if index is None else f"gpu{index}",
                outcome=Outcome.FAIL,
                notices=(Notice(message=f"gpu-fryer says {reason}"),),
            )


def _missing(kinds: Mapping[str, list[Mapping[str, object]]], broken: int) -> Iterator[str]:
    if not kinds["detected_gpus"]:
        yield "detected_gpus, which says what was burned, is missing"
    if not kinds["results"] or not list(objects(kinds["results"][-1].get("gpus"))):
        yield "results, which end a burn, are missing"
    if not kinds["problems"]:
        yield "problems, the last document of gpu-fryer, is missing"
    if broken:
        yield f"{broken} of its lines are no whole JSON"
