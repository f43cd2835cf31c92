"""Judges copies: between host and GPU, between GPUs, and within a GPU, against the part and against each other.

A host link is no faster than its slowest leg, which the file does not tell: a Gen4 x8 leg makes 14 GB/s healthy. So a
GPU slower than its neighbours is a fault, and one as slow as all of them is worth a look.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from fryer.imports.conclusions import conclude
from fryer.imports.facts import NODE, Check, Device, Fact, Facts, Outcome
from fryer.imports.nvbandwidth_matrix import BYTES as RATE
from fryer.judges.conclusion import Conclusion, count_of
from fryer.judges.limits import Limits
from fryer.parts import Part, find_part, practical_link_rate
from fryer.records import BYTES
from watchdog.vocabulary.units import show_quantity
from watchdog.vocabulary.verdicts import Verdict

_LIMITS = Limits()
_LANE_BYTES = {3: 0.985e9, 4: 1.969e9, 5: 3.938e9, 6: 7.563e9}
"""Bytes a second and lane one way, by PCIe generation, after encoding."""
_SLOWEST_LEG = 15.75e9
"""Gen4 x8: the narrowest leg that a published platform of these parts has (AWS p5)."""
_HOST = ("host_to_device_memcpy", "device_to_host_memcpy")
_ONE_WAY = ("device_to_device_memcpy_read", "device_to_device_memcpy_write")
_LINK_REMEDY = "check lspci -vv for a degraded link and for AER errors, the processor affinity, IOMMU and ACS; reseat"
_NVLINK_REMEDY = "check nvidia-smi nvlink -s and -e, the fabric manager's log and SXids; reset the GPUs; then replace"
_READ_AND_WRITTEN = 2
"""A local copy reads and writes each byte that nvbandwidth counts once; floors of `fryer.parts` count both."""


def judge(facts: Facts, _: float | None = None) -> Sequence[Conclusion]:
    """Conclusions on each test case that has an expectation, and on those that failed."""
    parts = {device.name: find_part(device.part) for device in facts.devices}
    by_case: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in facts.facts:
        if fact.metric == RATE and fact.subject != NODE:
            by_case[fact.case.split(" ")[0]].append(fact)
    found = [each for check in facts.checks for each in _check(check)]
    for case, rates in by_case.items():
        found += _case(case, rates, parts)
    if facts.of(NODE).get("marks_its_end") is False:
        found.append(
            conclude(
                "end_not_marked",
                Verdict.INCONCLUSIVE,
                "this version does not mark the end of its output, so test cases may be missing",
                remedy="use version 0.6 or newer, or its --json",
            )
        )
    return [*found, *_passes(facts, found, parts)]


def _case(case: str, rates: Sequence[Fact], parts: Mapping[str, Part | None]) -> Iterable[Conclusion]:
    if case.startswith(_HOST):
        return _host(case, rates, parts)
    if case.startswith("device_local_copy"):
        return _local(case, rates, parts)
    return _pairs(case, rates, parts) if case.startswith("device_to_device") else ()


def _check(check: Check) -> Iterable[Conclusion]:
    said = "; ".join(notice.message for notice in check.notices)
    if check.outcome is Outcome.FAIL:
        yield conclude("wrong_data", Verdict.FAIL, f"{check.name} read other data than was written: {said}")
    elif check.outcome is Outcome.SKIP:
        yield conclude("test_skipped", Verdict.SKIPPED, f"{check.name} was waived{f': {said}' if said else ''}")
    elif check.outcome is not Outcome.PASS:
        remedy = "clear the cause and repeat"
        yield conclude(
            "test_error", Verdict.ERROR, f"{check.name} gave no result{f': {said}' if said else ''}", remedy=remedy
        )


def _host(case: str, rates: Sequence[Fact], parts: Mapping[str, Part | None]) -> Iterable[Conclusion]:
    usual = median(_rate(fact) for fact in rates)
    for fact in rates:
        part = parts.get(fact.subject)
        own = practical_link_rate(_LANE_BYTES[part.pcie_generation] * part.pcie_width) if part else None
        least = practical_link_rate(_SLOWEST_LEG) * _LIMITS.link_fail_ratio
        value = _rate(fact)
        if len(rates) > 2 and value < usual * _LIMITS.link_warn_ratio:
            verdict = Verdict.FAIL if value < usual * _LIMITS.link_fail_ratio else Verdict.WARN
            yield _slow(fact, case, verdict, f"where the node's GPUs reach {_show(usual)}", usual, _LINK_REMEDY)
        elif part and value < least:
            yield _slow(fact, case, Verdict.FAIL, f"less than any platform's {_show(least)}", least, _LINK_REMEDY)
        elif own and value < own * _LIMITS.link_warn_ratio:
            why = f"where its own link gives {_show(own)}; healthy only if the path to the host is narrower"
            yield _slow(fact, case, Verdict.WARN, why, own, _LINK_REMEDY)


def _local(case: str, rates: Sequence[Fact], parts: Mapping[str, Part | None]) -> Iterable[Conclusion]:
    usual = median(_rate(fact) for fact in rates)
    for fact in rates:
        part = parts.get(fact.subject)
        floor = part.floor("hbm", "copy", BYTES) if part else None
        value = _rate(fact)
        if floor and value * _READ_AND_WRITTEN < floor.warn:
            verdict = Verdict.FAIL if value * _READ_AND_WRITTEN < floor.fail else Verdict.WARN
            limit = (floor.fail if verdict is Verdict.FAIL else floor.warn) / _READ_AND_WRITTEN
            remedy = "look at memory temperature and clocks, then run fryer run --burns memory,hbm"
            yield _slow(fact, case, verdict, f"below the {_show(limit)} of a healthy one", limit, remedy)
        elif len(rates) > 2 and value < usual * (1 - _LIMITS.node_fail_ratio):
            yield _slow(
                fact, case, Verdict.FAIL, f"where the node's GPUs reach {_show(usual)}", usual, "compare clocks"
            )


def _pairs(case: str, rates: Sequence[Fact], parts: Mapping[str, Part | None]) -> Iterable[Conclusion]:
    by_kind: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in rates:
        by_kind[" ".join(word for word in fact.case.split(" ") if not word.startswith("gpu"))].append(fact)
    for same in by_kind.values():
        usual = median(_rate(fact) for fact in same)
        for fact in same:
            part = parts.get(fact.subject)
            floor = part.floor("p2p", "to", BYTES) if part and case.startswith(_ONE_WAY) else None
            value = _rate(fact)
            if floor and value < floor.warn:
                verdict = Verdict.FAIL if value < floor.fail else Verdict.WARN
                limit = floor.fail if verdict is Verdict.FAIL else floor.warn
                yield _slow(
                    fact, _pair(fact), verdict, f"below the {_show(limit)} of a healthy pair", limit, _NVLINK_REMEDY
                )
            elif part and part.has_switched_nvlink and value < usual * (1 - _LIMITS.pair_fail_ratio):
                why = f"where all pairs reach {_show(usual)}"
                yield _slow(fact, _pair(fact), Verdict.FAIL, why, usual, _NVLINK_REMEDY)


def _pair(fact: Fact) -> str:
    return f"{fact.case} {fact.subject}"


def _slow(fact: Fact, what: str, verdict: Verdict, why: str, limit: float, remedy: str) -> Conclusion:
    value = _rate(fact)
    return conclude(
        "slow_link" if not what.startswith("device_local") else "slow_memory",
        verdict,
        f"{what}: {_show(value)}, {why}",
        device=fact.subject,
        remedy=remedy,
        figures={"case": fact.case, "value_bytes_per_second": value, "limit_bytes_per_second": limit},
    )


def _passes(facts: Facts, found: Sequence[Conclusion], parts: Mapping[str, Part | None]) -> Iterable[Conclusion]:
    passed = [check for check in facts.checks if check.outcome is Outcome.PASS]
    unknown = [device.name for device in facts.devices if parts.get(device.name) is None]
    compared = {fact.subject for fact in facts.facts if fact.metric == RATE}
    for device in facts.devices:
        is_clean = all(each.device != device.name for each in found)
        if is_clean and device.name in compared:
            yield _pass(device, parts.get(device.name), len(facts.devices))
    if passed and (not unknown or len(facts.devices) > 2):
        message = f"{count_of(len(passed), 'test case')} of {len(facts.checks)} ran"
        yield conclude("cases_ran", Verdict.PASS, message)


def _pass(device: Device, part: Part | None, num_devices: int) -> Conclusion:
    if part is None and num_devices < 3:
        return conclude(
            "no_expectation",
            Verdict.INCONCLUSIVE,
            f"nothing is published for {device.part or 'a part that the file does not name'}, and there are too few "
            "GPUs to compare",
            device=device.name,
        )
    against = "the part and the other GPUs" if part else "the other GPUs alone"
    return conclude("nothing_wrong", Verdict.PASS, f"no copy is slow, against {against}", device=device.name)


def _rate(fact: Fact) -> float:
    return float(fact.value)


def _show(value: float) -> str:
    return show_quantity(value, "B/s")
