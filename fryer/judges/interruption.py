"""A run that was ended early. What was measured is kept; what was not is not known."""

from collections.abc import Sequence

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import NODE, Conclusion, conclude, count_of
from fryer.judges.limits import Limits
from watchdog.vocabulary.verdicts import Verdict


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """``interrupted`` INCONCLUSIVE on the node and on each device, so that neither passes for less than was planned."""
    if not evidence.interrupted:
        return []
    return [
        conclude(
            evidence,
            who,
            "interrupted",
            Verdict.INCONCLUSIVE,
            f"the run was ended by {evidence.interrupted} with {count_of(count, 'figure')} "
            f"measured{f' on {who}' if who else ''}",
            figures={"by": evidence.interrupted, "num_measurements": count},
            remedy="run it again to its end",
        )
        for who in (NODE, *(device.name for device in evidence.devices))
        for count in [sum(who in (NODE, m.device) for m in evidence.measurements)]
    ]
