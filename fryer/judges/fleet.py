"""A device slower than the other devices of its part that were qualified before, anywhere."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from fryer.ceiling import possible
from fryer.evidence import DeviceInfo, Measurement, NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude, devices_by_name, observed, show_rate, what
from fryer.judges.limits import Limits
from fryer.judges.shortfall import Bounds, comparison, grade, gravest_of, own_noise, views
from fryer.steady import robust_sigma

_OWN_JUDGES = ("p2p", "pcie")
"""Links differ by platform, so a fleet's links do not compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """What others made of a figure."""

    middle: float
    """Their median."""
    sigma: float
    """Their robust standard deviation."""
    count: int


def yardstick_of(values: Sequence[float]) -> Yardstick:
    """Of at least one value."""
    return Yardstick(middle=median(values), sigma=robust_sigma(values), count=len(values))


def is_compared(burn: str) -> bool:
    """Whether figures of a burn compare between nodes."""
    return burn not in _OWN_JUDGES


def judge(evidence: NodeEvidence, limits: Limits) -> Sequence[Conclusion]:
    """``below_fleet`` for each figure that is low among enough other devices of the part."""
    if not evidence.fleet_past:
        return []
    devices = devices_by_name(evidence)
    here = {device.uuid for device in evidence.devices}
    fleet: defaultdict[tuple[str, str, str, str], dict[str, float]] = defaultdict(dict)
    for other in sorted(evidence.fleet_past, key=lambda p: p.at):
        if other.is_steady and other.uuid not in here:
            fleet[other.part, other.burn, other.case, other.metric][other.uuid] = other.value
    conclusions = []
    for found in possible(evidence):
        device = devices.get(found.device)
        if device is None or not is_compared(found.burn):
            continue
        values = list(fleet[device.part, found.burn, found.case, found.metric].values())
        if len(values) >= limits.fleet_least_devices:
            conclusions += compare(evidence, found, device, yardstick_of(values), limits)
    return conclusions


def compare(
    evidence: NodeEvidence, found: Measurement, device: DeviceInfo, others: Yardstick, limits: Limits
) -> list[Conclusion]:
    """``below_fleet``, where `found` is low beside the others."""
    middle = others.middle
    if middle <= 0:
        return []
    noise = max(limits.noise_factor * others.sigma / middle, own_noise(found, limits))
    bounds = Bounds(warn_ratio=limits.fleet_warn_ratio, fail_ratio=limits.fleet_fail_ratio, noise_ratio=noise)
    graded = gravest_of([grade(view, middle, bounds) for view in views(found)])
    if graded is None:
        return []
    return [
        conclude(
            evidence,
            found.device,
            "below_fleet",
            graded.verdict,
            f"{what(found)} reached {graded.view.words}, {graded.shortfall_ratio:.1%} below the median "
            f"{show_rate(middle, found.metric, found.case)} of {others.count:,} other {device.part}",
            figures=comparison(found, graded, [f"{others.count} devices"]) | observed(evidence, found),
            remedy="compare the node with a healthy one: power limit, clocks, cooling, driver; then field diagnostics",
            burn=found.burn,
        )
    ]
