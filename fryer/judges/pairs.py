"""Copies between GPUs: a slow device told apart from a slow pair, and both from a slow fabric.

Only where every pair should be equally fast (NVSwitch): elsewhere the topology decides, and pairs differ by design.
"""

from collections.abc import Mapping, Sequence
from statistics import median

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import NODE, Conclusion, conclude, devices_by_name, show_rate
from fryer.judges.limits import Limits
from fryer.parts import Part, find_part
from fryer.records import BYTES
from watchdog.vocabulary.verdicts import Verdict

_Pair = tuple[str, str]
"""(sender, receiver)."""
_REMEDY = "check nvidia-smi nvlink -s and -e, the fabric manager's log and SXids; reset the GPUs; then replace"


def judge(evidence: NodeEvidence, limits: Limits) -> Sequence[Conclusion]:
    """``slow_link``: FAIL on a device most of whose pairs are slow, else on the node; WARN below the part's floor."""
    devices = devices_by_name(evidence)
    conclusions: list[Conclusion] = []
    for part_name in dict.fromkeys(device.part for device in evidence.devices):
        part = find_part(part_name)
        rates = {
            (m.device, other): m.value
            for m in evidence.measurements
            if m.burn == "p2p"
            for word, _, other in [m.case.partition(" ")]
            if word == "to" and m.device in devices and devices[m.device].part == part_name
        }
        if part and part.has_switched_nvlink and rates:
            conclusions += _fabric(evidence, part, rates, limits)
    return conclusions


def _fabric(evidence: NodeEvidence, part: Part, rates: Mapping[_Pair, float], limits: Limits) -> list[Conclusion]:
    floor = part.floor("p2p", "to", BYTES)
    limit = median(rates.values()) * (1 - limits.pair_fail_ratio)
    limit = max(limit, floor.fail) if floor else limit
    low = {pair for pair, rate in rates.items() if rate < limit}
    if len(low) == len(rates):
        return [_node(evidence, rates, low, limit, "every pair of GPUs is slow, which points at the fabric")]
    slow_devices = blame(set(rates), low)
    conclusions = [_device(evidence, device, rates, limit, Verdict.FAIL) for device in slow_devices]
    left = {pair for pair in low if not set(pair) & set(slow_devices)}
    if left:
        conclusions.append(_node(evidence, rates, left, limit, "slow only with each other, so the path is suspect"))
    if floor:
        rest = {pair: rate for pair, rate in rates.items() if pair not in low}
        conclusions += [
            _device(evidence, device, rest, floor.warn, Verdict.WARN)
            for device in sorted({name for pair in rest for name in pair} - set(slow_devices))
            if _median_of(device, rest) < floor.warn
        ]
    return conclusions


def blame(pairs: set[_Pair], low: set[_Pair]) -> list[str]:
    """Devices that explain the low pairs: again and again the one with most of them, if over half of its are low.

    Half of all that it has, or of those in one direction: a device that only sends slowly has half of its pairs low.
    """
    pairs, low, blamed = set(pairs), set(low), []
    while low:
        counts = {name: sum(name in pair for pair in low) for name in sorted({name for pair in low for name in pair})}
        worst = max(counts, key=lambda name: counts[name])
        rivals = {name for name, count in counts.items() if count == counts[worst]} - {worst}
        is_bad = _over_half(low, {pair for pair in pairs if worst in pair}) or any(
            _over_half(low, {pair for pair in pairs if pair[way] == worst and pair[1 - way] not in rivals}, least=2)
            for way in (0, 1)
        )
        if not is_bad or (rivals and low == pairs):
            break
        blamed.append(worst)
        pairs = {pair for pair in pairs if worst not in pair}
        low &= pairs
    return blamed


def _over_half(low: set[_Pair], own: set[_Pair], least: int = 1) -> bool:
    """Whether over half of a device's pairs are low, and it has so many that they tell it from its partners."""
    return len(own) >= least and len(low & own) * 2 > len(own)


def _median_of(device: str, rates: Mapping[_Pair, float]) -> float:
    return median(rate for pair, rate in rates.items() if device in pair)


def _device(
    evidence: NodeEvidence, device: str, rates: Mapping[_Pair, float], limit: float, verdict: Verdict
) -> Conclusion:
    rate = _median_of(device, rates)
    return conclude(
        evidence,
        device,
        "slow_link",
        verdict,
        f"copies between {device} and the other GPUs reach {show_rate(rate, BYTES)}, limit {show_rate(limit, BYTES)}",
        figures={
            "burn": "p2p",
            "metric": BYTES,
            "value": rate,
            "limit": limit,
            "pairs": {" to ".join(pair): value for pair, value in rates.items() if device in pair},
        },
        remedy=_REMEDY,
        burn="p2p",
    )


def _node(evidence: NodeEvidence, rates: Mapping[_Pair, float], low: set[_Pair], limit: float, why: str) -> Conclusion:
    names = sorted({"-".join(sorted(pair)) for pair in low})
    return conclude(
        evidence,
        NODE,
        "slow_link",
        Verdict.FAIL,
        f"copies below {show_rate(limit, BYTES)} between {', '.join(names)}: {why}",
        figures={
            "burn": "p2p",
            "metric": BYTES,
            "limit": limit,
            "pairs": {" to ".join(pair): rates[pair] for pair in sorted(low)},
        },
        remedy=_REMEDY,
        burn="p2p",
    )
