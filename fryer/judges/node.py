"""A device slower than the other devices of its part in the same node.

Against their median, where there are enough of them, and against the best, where a median says nothing because half of
them may be slow. A shortfall counts only beyond what the spread of the devices explains.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
    by_view = [(peers, _peers_of(peers)) for peers in zip(*(views(m) for m in group), strict=True)]
    conclusions = []
    for place, found in enumerate(group):
        if not any(_is_low(own[place], peers, limits) for own, peers in by_view):
            continue
        noise = own_noise(found, limits)
        graded = gravest_of([each for own, peers in by_view for each in _grades(own[place], peers, noise, limits)])
        if graded:
            conclusions.append(_below(evidence, found, graded, group))
    return conclusions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Peers:
    """One rate of all devices of a group, in sum."""

    count: int
    middle: float
    best: float
    sigma: float


def _peers_of(views_of_all: Sequence[View]) -> _Peers:
    values = [view.value for view in views_of_all]
    return _Peers(count=len(values), middle=median(values), best=max(values), sigma=robust_sigma(values))


def _is_low(view: View, peers: _Peers, limits: Limits) -> bool:
    """Whether `_grades` could find anything: so far below the best that some limit counts it, noise aside."""
    if peers.best <= 0:
        return False
    least = min(limits.node_warn_ratio, limits.node_fail_ratio, limits.best_warn_ratio, limits.best_fail_ratio)
    return 1 - view.value / peers.best > least


def _grades(view: View, peers: _Peers, noise: float, limits: Limits) -> list[Graded | None]:
    """What one rate of a device says beside the same rate of all of the group's; `noise` is that of its own series."""
    middle, best = peers.middle, peers.best
    if best <= 0:
        return []
    if peers.count < limits.node_least_devices or middle <= 0:
        pair = Bounds(warn_ratio=limits.node_warn_ratio, fail_ratio=limits.node_fail_ratio, noise_ratio=noise)
        return [grade(view, best, pair, "best")]
    spread = max(limits.noise_factor * peers.sigma / middle, noise)
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
