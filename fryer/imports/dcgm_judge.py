"""Judges each test of ``dcgmi diag``: a Skip is never a pass, and an error's own severity goes before a mild result."""

from collections.abc import Iterable, Sequence

from fryer.imports.conclusions import conclude
from fryer.imports.facts import NODE, Check, Facts, Notice, Outcome
from fryer.judges.conclusion import Conclusion, count_of
from watchdog.vocabulary.units import show_quantity
from watchdog.vocabulary.verdicts import Verdict, gravest

_OF_OUTCOME = {
    Outcome.PASS: Verdict.PASS,
    Outcome.WARN: Verdict.WARN,
    Outcome.FAIL: Verdict.FAIL,
    Outcome.SKIP: Verdict.SKIPPED,
    Outcome.ERROR: Verdict.ERROR,
    Outcome.UNKNOWN: Verdict.ERROR,
}
_MONITOR, _ISOLATE, _TRIAGE, _CONFIG, _RESET = 1, 2, 4, 5, 6
_SEVERITIES = {
    _MONITOR: ("monitor", Verdict.WARN, "it can run work: watch it"),
    _ISOLATE: ("isolate", Verdict.FAIL, "take the GPU out of service"),
    _TRIAGE: ("triage", Verdict.FAIL, "take it out of service until its cause is found: kernel log, field diagnostics"),
    _CONFIG: ("config", Verdict.WARN, "change the setting that it names, and repeat"),
    _RESET: ("reset", Verdict.FAIL, "drain the node and reset the GPU"),
}
"""`dcgmErrorSeverity_t` in dcgm_errors.h, without none (0) and unknown (3), which say nothing."""
_ACTIONS = {
    80: "replace the GPU: row remapping failed, which is a ground for return",
    85: "reset the GPU, so that the pending row is remapped, and repeat",
    101: "look the Xid up in the kernel log: fryer scan --kmsg",
    120: "drain the node and reboot it; if it happens again, reseat or replace the GPU",
    125: "reset the GPU",
    126: "reboot the node",
    127: "drain the peers connected over NVLink",
    128: "drain the node, then reset the GPU",
}
"""By error id (dcgm_errors.h), where more is known than the severity says."""
_ASYMMETRY_RATIO = 0.8
"""Of the slower to the faster direction of a host link. Healthy ones differ by 15 % at most (Voltage Park: 54.8 and
46.8 GB/s); DCGM has no floor here and passed 8.66 beside 14.26 (Smol Training Playbook)."""


def judge(facts: Facts, _: float | None = None) -> Sequence[Conclusion]:
    """Conclusions on every test, and one pass for those that passed, by GPU where the file tells."""
    tests: dict[str, list[Check]] = {}
    for check in facts.checks:
        tests.setdefault(check.name, []).append(check)
    found = [each for name, checks in tests.items() for each in _judge_test(name, checks, facts)]
    return [*found, *_passes(facts), *_asymmetry(facts), *_cap(tests)]


def _judge_test(name: str, checks: Sequence[Check], facts: Facts) -> Iterable[Conclusion]:
    own = [check for check in checks if check.subject != NODE]
    worst = gravest(_verdict(check) for check in own)
    for check in checks:
        verdict = _verdict(check)
        is_said = check.subject == NODE and own and gravest([worst, verdict]) is worst
        if verdict is not Verdict.PASS and not is_said:
            yield _conclude(check, verdict)
    untested = [device.name for device in facts.devices if device.name.startswith("gpu")]
    tested = {check.subject for check in own}
    for device in untested if tested & set(untested) else []:
        if device not in tested:
            yield conclude(
                "not_tested",
                Verdict.INCONCLUSIVE,
                f"{name} has no result for it, while it has for other GPUs",
                device=device,
                remedy="repeat; if it is left out again, look at it with nvidia-smi -q",
            )


def _verdict(check: Check) -> Verdict:
    verdict = _OF_OUTCOME[check.outcome]
    told = [_SEVERITIES[notice.severity] for notice in check.notices if notice.severity in _SEVERITIES]
    if check.outcome is Outcome.SKIP:
        is_grave = any(verdict_told is Verdict.FAIL for _, verdict_told, _ in told)
        return Verdict.INCONCLUSIVE if is_grave else verdict
    if check.outcome in (Outcome.PASS, Outcome.WARN):
        return gravest([verdict, *(verdict_told for _, verdict_told, _ in told)])
    return verdict


def _conclude(check: Check, verdict: Verdict) -> Conclusion:
    said = "; ".join(notice.message for notice in check.notices)
    word = "gave no result that is known" if check.outcome is Outcome.UNKNOWN else f"says {check.outcome.capitalize()}"
    ids = [notice.error_id for notice in check.notices if notice.error_id is not None]
    return conclude(
        "test_skipped" if check.outcome is Outcome.SKIP else f"test_{check.outcome.lower()}",
        verdict,
        f"{check.name} {word}{f': {said}' if said else ''}",
        device=check.subject,
        remedy=_remedy(check, verdict),
        figures={
            "test": check.name,
            "category": check.category or None,
            "outcome": check.outcome,
            "error_ids": ids or None,
            "severities": _severities(check.notices) or None,
        },
    )


def _severities(notices: Sequence[Notice]) -> list[str]:
    return [_SEVERITIES[notice.severity][0] for notice in notices if notice.severity in _SEVERITIES]


def _remedy(check: Check, verdict: Verdict) -> str:
    known = [_ACTIONS[notice.error_id] for notice in check.notices if notice.error_id in _ACTIONS]
    told = [_SEVERITIES[notice.severity][2] for notice in check.notices if notice.severity in _SEVERITIES]
    usual = {
        Verdict.FAIL: "take the node out of service; repeat this test alone, then field diagnostics",
        Verdict.SKIPPED: "it was not tested: run it where it matters, it needs root or another level",
        Verdict.ERROR: "clear the cause and repeat",
    }
    return next(iter([*known, *told]), usual.get(verdict, "look at what it says, and repeat"))


def _passes(facts: Facts) -> Iterable[Conclusion]:
    passed = {check.name for check in facts.checks if check.outcome is Outcome.PASS}
    tests = {check.name for check in facts.checks}
    if passed:
        yield conclude("tests_passed", Verdict.PASS, f"{len(passed)} of {count_of(len(tests), 'test')} passed")
    for device in facts.devices:
        own = {c.name for c in facts.checks if c.subject == device.name and c.outcome is Outcome.PASS}
        if own:
            yield conclude("tests_passed", Verdict.PASS, f"{count_of(len(own), 'test')} passed", device=device.name)


def _asymmetry(facts: Facts) -> Iterable[Conclusion]:
    for device in facts.devices:
        known = facts.of(device.name)
        rates = [known.get(f"{way}_bytes_per_second") for way in ("device_to_host", "host_to_device")]
        numbers = [rate for rate in rates if isinstance(rate, float) and rate > 0]
        if len(numbers) == 2 and min(numbers) / max(numbers) < _ASYMMETRY_RATIO:
            slow, fast = (show_quantity(each, "B/s") for each in (min(numbers), max(numbers)))
            yield conclude(
                "link_one_sided",
                Verdict.WARN,
                f"its host link carries {slow} one way and {fast} the other",
                device=device.name,
                remedy="check processor affinity, IOMMU and ACS, then the link with lspci -vv",
                figures={"ratio": min(numbers) / max(numbers)},
            )


def _cap(tests: dict[str, list[Check]]) -> Iterable[Conclusion]:
    """DCGM 4 has room for so many messages; of the GPUs after that, results are there and information is not."""
    for name, checks in tests.items():
        own = [check for check in checks if check.subject != NODE]
        without = [check.subject for check in own if len(check.info) < max(len(each.info) for each in own)]
        if without and len(without) < len(own) and any(check.outcome is Outcome.PASS for check in own):
            yield conclude(
                "information_missing",
                Verdict.PASS,
                f"{name} has results for all, but not all information for {', '.join(without)}: DCGM 4 has room for a "
                "fixed number of messages",
                figures={"test": name, "devices": without},
            )
