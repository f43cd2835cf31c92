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
from fryer.judges.shortfall import Bounds, comparison, own_noise
from fryer.steady import robust_sigma, standard_error_ratio
from watchdog.vocabulary.verdicts import Verdict, gravest

_OWN_JUDGE = "p2p"


def judge(evidence: NodeEvidence, limits: Limits) -> Sequence[Conclusion]:
    """``below_node`` for each figure that is low in the node; impossible figures are not compared with."""
    groups = alike(evidence, (m for m in possible(evidence) if m.burn != _OWN_JUDGE))
    return [conclusion for group in groups if len(group) > 1 for conclusion in _group(evidence, group, limits)]


def _group(evidence: NodeEvidence, group: Sequence[Measurement], limits: Limits) -> list[Conclusion]:
    values = [m.value for m in group]
    middle, best = median(values), max(values)
    if best <= 0:
        return []
    conclusions = []
    for found in group:
        if len(group) >= limits.node_least_devices and middle > 0:
            noise = limits.noise_factor * robust_sigma(values) / middle
            by_median = Bounds(warn_ratio=limits.node_warn_ratio, fail_ratio=limits.node_fail_ratio, noise_ratio=noise)
            by_best = Bounds(warn_ratio=limits.best_warn_ratio, fail_ratio=limits.best_fail_ratio)
            grades = {"median": (by_median, middle), "best": (by_best, best)}
        else:
            noise = own_noise(found, standard_error_ratio(found), limits)
            pair = Bounds(warn_ratio=limits.node_warn_ratio, fail_ratio=limits.node_fail_ratio, noise_ratio=noise)
            grades = {"best": (pair, best)}
        graded = [
            (name, bounds, reference, grade)
            for name, (bounds, reference) in grades.items()
            if (grade := bounds.grade(1 - found.value / reference))
        ]
        if graded:
            worst = gravest(grade for *_, grade in graded)
            name, bounds, reference, _ = next(row for row in graded if row[3] is worst)
            conclusions.append(_below(evidence, found, name, reference, bounds, worst, group))
    return conclusions


def _below(
    evidence: NodeEvidence,
    found: Measurement,
    name: str,
    reference: float,
    bounds: Bounds,
    verdict: Verdict,
    group: Sequence[Measurement],
) -> Conclusion:
    others = [m.device for m in group if m is not found]
    figures = comparison(found, reference, bounds, others) | {"reference_is": f"{name} of the node"}
    return conclude(
        evidence,
        found.device,
        "below_node",
        verdict,
        f"{what(found)} reached {show_rate(found.value, found.metric)}, {1 - found.value / reference:.1%} below the "
        f"{name} of the node's {len(group)} devices, {show_rate(reference, found.metric)}",
        figures=figures | observed(evidence, found),
        remedy="compare its clock, power and temperature with its neighbours; repeat it alone; then field diagnostics",
        burn=found.burn,
    )
