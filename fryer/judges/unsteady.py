"""A figure that never settled: warming up, still slowing down, or changing level. See `fryer.steady`."""

from collections import Counter
from collections.abc import Sequence

from fryer.evidence import Measurement, NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude, count_of, observed, what
from fryer.judges.limits import Limits
from fryer.steady import SMALLEST_COUNT, steady
from watchdog.vocabulary.verdicts import Verdict

_FELL = ("fell", "run it longer; a rate that goes on falling as the temperature rises is a cooling problem")
_ROSE = (
    "rose",
    "run it longer; a rate that goes on rising was held back at first: by others, by power or clock limits",
)
_MANY_SHORT = "p2p"
"""Every pair gets little time by design, and pairs confirm each other."""


def judge(evidence: NodeEvidence, limits: Limits) -> Sequence[Conclusion]:
    """``not_steady``: INCONCLUSIVE for a large drift, WARN for a small one, a note where too little was seen."""
    conclusions = []
    short: Counter[str] = Counter()
    for found in evidence.measurements:
        if found.steady_from_seconds is not None or not found.series:
            continue
        if len(found.series) < SMALLEST_COUNT:
            short[found.device] += found.burn != _MANY_SHORT
        else:
            conclusions.append(_drifting(evidence, found, limits))
    return [*conclusions, *(_note(evidence, device, count) for device, count in short.items() if count)]


def _drifting(evidence: NodeEvidence, found: Measurement, limits: Limits) -> Conclusion:
    drift = steady(found.series).drift_ratio
    verdict = Verdict.INCONCLUSIVE if abs(drift) > limits.drift_inconclusive_ratio else Verdict.WARN
    direction, remedy = _FELL if drift < 0 else _ROSE
    return conclude(
        evidence,
        found.device,
        "not_steady",
        verdict,
        f"{what(found)} {direction} by {abs(drift):.1%} over the length of the run and never became steady",
        figures={
            "burn": found.burn,
            "case": found.case,
            "metric": found.metric,
            "drift_ratio": drift,
            "num_points": len(found.series),
            **observed(evidence, found),
        },
        remedy=remedy,
        burn=found.burn,
    )


def _note(evidence: NodeEvidence, device: str, count: int) -> Conclusion:
    return conclude(
        evidence,
        device,
        "not_steady",
        Verdict.PASS,
        f"{count_of(count, 'figure')} of fewer than {SMALLEST_COUNT} intervals: too few to tell whether steady",
        figures={"num_figures": count, "least_intervals": SMALLEST_COUNT},
        remedy="give --duration more time",
    )
