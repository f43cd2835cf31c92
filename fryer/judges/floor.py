"""A figure below what GPUs of the part are known to reach. Catches a node whose devices are all equally slow.

It says too for which figures there is no floor, so that a pass is not taken for more than it is.
Floors and their sources: `fryer.parts`. Links have judges of their own.
"""

from collections import defaultdict
from collections.abc import Sequence

from fryer.evidence import DeviceInfo, Measurement, NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude, devices_by_name, observed, show_rate, what
from fryer.judges.limits import Limits
from fryer.judges.shortfall import View, views
from fryer.parts import Floor, find_part
from watchdog.vocabulary.verdicts import Verdict

_ELSEWHERE = ("pcie", "p2p")


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """``below_floor`` for each figure below its floor, and one ``no_floor`` note where a device has figures without."""
    devices = devices_by_name(evidence)
    conclusions: list[Conclusion] = []
    without: defaultdict[str, list[Measurement]] = defaultdict(list)
    for found in evidence.measurements:
        device = devices.get(found.device)
        if device is None:
            continue
        floor = _floor(found, device)
        if floor is None:
            if not _has_own_limit(found, device):
                without[found.device].append(found)
        elif found.burn not in _ELSEWHERE and (low := [v for v in views(found) if v.value < floor.warn]):
            told = next((view for view in low if view.value < floor.fail), low[0])
            conclusions.append(_below(evidence, found, told, device, floor))
    return [*conclusions, *(_note(evidence, devices[name], found) for name, found in without.items())]


def _floor(found: Measurement, device: DeviceInfo) -> Floor | None:
    part = find_part(device.part)
    return part.floor(found.burn, found.case, found.metric) if part else None


def _has_own_limit(found: Measurement, device: DeviceInfo) -> bool:
    """The host link is held against the path that was found."""
    return found.burn == "pcie" and device.link_bytes_per_second is not None


def _below(evidence: NodeEvidence, found: Measurement, view: View, device: DeviceInfo, floor: Floor) -> Conclusion:
    verdict = Verdict.FAIL if view.value < floor.fail else Verdict.WARN
    limit = floor.fail if verdict is Verdict.FAIL else floor.warn
    return conclude(
        evidence,
        found.device,
        "below_floor",
        verdict,
        f"{what(found)} reached {view.words}, below the {show_rate(limit, found.metric, found.case)} "
        f"that a healthy {device.part} reaches",
        figures={
            "burn": found.burn,
            "case": found.case,
            "metric": found.metric,
            "value": view.value,
            "value_is": view.name,
            "median": found.value,
            "warn": floor.warn,
            "fail": floor.fail,
            "source": floor.source,
            **observed(evidence, found),
        },
        remedy="compare clock, power and temperature with a healthy node; check cooling, power limit and application "
        "clocks; repeat alone, then field diagnostics",
        burn=found.burn,
    )


def _note(evidence: NodeEvidence, device: DeviceInfo, found: Sequence[Measurement]) -> Conclusion:
    cases = list(dict.fromkeys(f"{m.burn} {m.case.partition(' ')[0]}".rstrip() for m in found))
    return conclude(
        evidence,
        device.name,
        "no_floor",
        Verdict.PASS,
        f"no published floor for {device.part} in {', '.join(cases)}: judged only against the node, its own past and "
        "the fleet, as far as those are known",
        figures={"part": device.part, "cases": cases},
    )
