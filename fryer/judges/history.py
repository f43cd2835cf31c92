"""A device slower than it was at its own last qualification, matched by UUID."""

from collections.abc import Sequence

from fryer.ceiling import possible
from fryer.evidence import Measurement, NodeEvidence, PastMeasurement
from fryer.judges.conclusion import Conclusion, conclude, devices_by_name, observed, show_rate, what
from fryer.judges.limits import Limits
from fryer.judges.shortfall import Bounds, Graded, comparison, grade, gravest_of, own_noise, views


def judge(evidence: NodeEvidence, limits: Limits) -> Sequence[Conclusion]:
    """``below_own_past`` for each figure that the same device has made better before."""
    if not evidence.own_past:
        return []
    devices = devices_by_name(evidence)
    past = {(p.uuid, p.burn, p.case, p.metric): p for p in sorted(evidence.own_past, key=lambda p: p.at) if p.is_steady}
    conclusions = []
    for found in possible(evidence):
        device = devices.get(found.device)
        before = past.get((device.uuid, found.burn, found.case, found.metric)) if device else None
        if before is None or before.value <= 0:
            continue
        noise = own_noise(found, limits)
        bounds = Bounds(warn_ratio=limits.past_warn_ratio, fail_ratio=limits.past_fail_ratio, noise_ratio=noise)
        graded = gravest_of([grade(view, before.value, bounds) for view in views(found)])
        if graded:
            conclusions.append(_below(evidence, found, before, graded))
    return conclusions


def _below(evidence: NodeEvidence, found: Measurement, before: PastMeasurement, graded: Graded) -> Conclusion:
    return conclude(
        evidence,
        found.device,
        "below_own_past",
        graded.verdict,
        f"{what(found)} reached {graded.view.words}, {graded.shortfall_ratio:.1%} below the "
        f"{show_rate(before.value, found.metric, found.case)} of its own qualification at {before.at}",
        figures=comparison(found, graded, [before.run_id])
        | observed(evidence, found)
        | {"past_at": before.at, "past_node": before.node, "past_run_id": before.run_id},
        remedy="find what changed since: driver, firmware, power limit, cooling, or the device; repeat it; if it "
        "stays, field diagnostics",
        burn=found.burn,
    )
