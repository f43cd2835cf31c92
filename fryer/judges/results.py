"""Wrong results: a product that differs from its own repetition or from float64, a word that came back changed."""

from collections import defaultdict
from collections.abc import Sequence

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude, count_of
from fryer.judges.limits import Limits
from fryer.records import Mismatch
from watchdog.vocabulary.verdicts import Verdict

_SHOWN = 10
"""Mismatches kept whole in the evidence; the rest are counted."""
_HOW = {
    "twin": "differs from the same product computed again",
    "vote": "differs from what the other devices computed",
    "fp64": "is out of the error bound of the product in float64",
    "pattern": "differs from what was written",
}


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """FAIL for any wrong result: ``nan_result``, ``digest_minority`` (found by vote) or ``wrong_result``."""
    groups: defaultdict[tuple[str, str, str, str, bool], list[Mismatch]] = defaultdict(list)
    for wrong in evidence.mismatches:
        groups[wrong.device, wrong.burn, wrong.case, wrong.how, wrong.is_nan].append(wrong)
    return [_wrong(evidence, group) for group in groups.values()]


def _wrong(evidence: NodeEvidence, group: Sequence[Mismatch]) -> Conclusion:
    first = group[0]
    code = "nan_result" if first.is_nan else "digest_minority" if first.how == "vote" else "wrong_result"
    verified = sum(
        c.count for c in evidence.counted if (c.device, c.burn, c.case) == (first.device, first.burn, first.case)
    )
    num_reproduced = sum(wrong.reproduced for wrong in group)
    kind = "NaN or infinite" if first.is_nan else "wrong"
    out_of = f" (of {verified:,} {_counted_word(evidence, first)} verified)" if verified else ""
    return conclude(
        evidence,
        first.device,
        code,
        Verdict.FAIL,
        f"{first.burn} {first.case} on {first.device}: {count_of(len(group), f'{kind} result')}{out_of}; the first "
        f"{_HOW.get(first.how, first.how)}: expected {first.expected}, read {first.read}",
        figures={
            "burn": first.burn,
            "case": first.case,
            "how": first.how,
            "count": len(group),
            "verified": verified,
            "num_reproduced": num_reproduced,
            "first": [_show(wrong) for wrong in group[:_SHOWN]],
        },
        remedy="take the device out of service: it computes or stores wrong values in silence; keep this result for "
        "the return, with seed, index and bits",
        burn=first.burn,
    )


def _counted_word(evidence: NodeEvidence, wrong: Mismatch) -> str:
    key = (wrong.device, wrong.burn, wrong.case)
    return next(c.what for c in evidence.counted if (c.device, c.burn, c.case) == key)


def _show(wrong: Mismatch) -> dict[str, object]:
    return {
        "seed": wrong.seed,
        "round": wrong.round,
        "pair": wrong.pair,
        "at_seconds": wrong.at_seconds,
        "index": wrong.index,
        "num_wrong": wrong.num_wrong,
        "expected": wrong.expected,
        "read": wrong.read,
        "reproduced": wrong.reproduced,
    }
