"""A device slower than the other devices of its part in the same node.

Against their median, where there are enough of them, and against the best, where a median says nothing because half of
them may be slow. A shortfall counts only beyond what the spread of the devices explains.
"""

from collections.abc import Sequence
from statistics import median

from fryer.ceiling import possible
from fryer.evidence import Measurement, NodeEvidence
from fryer.judges.conclusion import Conclusion, alike, conclude, observed, show_rate, what
from fryer.judges.limits import Limits
from fryer.judges.shortfall import Bounds, Graded, View, comparison, grade, gravest_of, own_noise, views
from fryer.steady import robust_sigma

_OWN_JUDGE = "p2p"


def judge(evidence: NodeEvidence, limits: Limits) -> Sequence[Conclusion]:
    """``below_node`` for each figure that is low in the node; impossible figures are not compared with."""
    groups = alike(evidence, (m for m in possible(evidence) if m.burn != _OWN_JUDGE))
    return [conclusion for group in groups if len(group) > 1 for conclusion in _group(evidence, group, limits)]


def _group(evidence: NodeEvidence, group: Sequence[Measurement], limits: Limits) -> list[Conclusion]:
    by_view = list(zip(*(views(m) for m in group), strict=True))
    conclusions = []
    for place, found in enumerate(group):
        noise = own_noise(found, limits)
        graded = gravest_of(
            [each for peers in by_view for each in _grades(peers[place], [peer.value for peer in peers], noise, limits)]
        )
        if graded:
            conclusions.append(_below(evidence, found, graded, group))
    return conclusions


def _grades(view: View, values: Sequence[float], noise: float, limits: Limits) -> list[Graded | None]:
    """What one rate of a device says beside the same rate of all of the group's; `noise` is that of its own series."""
    middle, best = median(values), max(values)
    if best <= 0:
        return []
    if len(values) < limits.node_least_devices or middle <= 0:
        pair = Bounds(warn_ratio=limits.node_warn_ratio, fail_ratio=limits.node_fail_ratio, noise_ratio=noise)
        return [grade(view, best, pair, "best")]
    spread = max(limits.noise_factor * robust_sigma(values) / middle, noise)
    by_median = Bounds(warn_ratio=limits.node_warn_ratio, fail_ratio=limits.node_fail_ratio, noise_ratio=spread)
    by_best = Bounds(warn_ratio=limits.best_warn_ratio, fail_ratio=limits.best_fail_ratio, noise_ratio=noise)
    return [grade(view, middle, by_median, "median"), grade(view, best, by_best, "best")]


def _below(evidence: NodeEvidence, found: Measurement, graded: Graded, group: Sequence[Measurement]) -> Conclusion:
    others = [m.device for m in group if m is not found]
    return conclude(
        evidence,
        found.device,
        "below_node",
        graded.verdict,
        f"{what(found)} reached {graded.view.words}, {graded.shortfall_ratio:.1%} below the {graded.reference_is} of "
        f"the node's {len(group)} devices, {show_rate(graded.reference, found.metric, found.case)}",
        figures=comparison(found, graded, others)
        | {"reference_is": f"{graded.reference_is} of the node"}
        | observed(evidence, found),
        remedy="compare its clock, power and temperature with its neighbours; repeat it alone; then field diagnostics",
        burn=found.burn,
    )
