"""A figure above what physics allows: the tool mismeasured. It is an ERROR, never a pass. See `fryer.ceiling`."""

from collections.abc import Sequence

from fryer.ceiling import TOLERANCE_RATIO, Ceiling, ceilings
from fryer.evidence import Measurement, NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude, show_rate, what
from fryer.judges.limits import Limits
from watchdog.vocabulary.verdicts import Verdict


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """``impossible`` for each figure above its ceiling."""
    return [
        _impossible(evidence, found, top)
        for found, top in ceilings(evidence)
        if top and found.value > top.value * TOLERANCE_RATIO
    ]


def _impossible(evidence: NodeEvidence, found: Measurement, top: Ceiling) -> Conclusion:
    return conclude(
        evidence,
        found.device,
        "impossible",
        Verdict.ERROR,
        f"{what(found)} measured {show_rate(found.value, found.metric, found.case)}, above the physical ceiling of "
        f"{show_rate(top.value, found.metric, found.case)} ({top.why}): the measurement is wrong, not the device",
        figures={
            "burn": found.burn,
            "case": found.case,
            "metric": found.metric,
            "value": found.value,
            "ceiling": top.value,
            "tolerance_ratio": TOLERANCE_RATIO,
            "why": top.why,
        },
        remedy="report this as a fault of the tool, with the result file; do not rely on this figure",
        burn=found.burn,
    )
