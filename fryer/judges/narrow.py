"""A PCIe link of fewer lanes or a lower generation than it should have, read under load.

A link at rest lowers its generation to save power, so only readings of a loaded GPU count. Narrower than the node's
other GPUs is a fault; narrower than the product on all of them may be how the platform was built.
"""

from collections import defaultdict
from collections.abc import Sequence
from statistics import median_low

from fryer.ceiling import readings_during
from fryer.evidence import DeviceInfo, NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude
from fryer.judges.limits import Limits
from fryer.parts import find_part
from watchdog.collectors.readings import GpuReading
from watchdog.vocabulary.verdicts import Verdict

_LOADED_RATIO = 0.5
"""Utilisation from which a GPU is in the state where its link is at full speed."""

_Link = tuple[int, int]
"""(generation, lanes)."""


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """``narrow_link``: FAIL below the node's other GPUs of the part, WARN below what the product can do."""
    links = {device.name: link for device in evidence.devices if (link := _link(evidence, device))}
    by_part: defaultdict[str, list[_Link]] = defaultdict(list)
    for device in evidence.devices:
        if device.name in links:
            by_part[device.part].append(links[device.name])
    return [
        conclusion
        for device in evidence.devices
        if device.name in links and (conclusion := _compare(evidence, device, links[device.name], by_part[device.part]))
    ]


def _compare(evidence: NodeEvidence, device: DeviceInfo, link: _Link, peers: Sequence[_Link]) -> Conclusion | None:
    part = find_part(device.part)
    best = max(peers, key=_rate)
    able = (part.pcie_generation, part.pcie_width) if part else best
    if _rate(link) < _rate(best):
        verdict, expected, whose = Verdict.FAIL, best, f"the node's other {device.part}"
    elif _rate(link) < _rate(able):
        verdict, expected, whose = Verdict.WARN, able, f"a {device.part}"
    else:
        return None
    return conclude(
        evidence,
        device.name,
        "narrow_link",
        verdict,
        f"the PCIe link of {device.name} runs at Gen{link[0]} x{link[1]} under load; {whose} can do "
        f"Gen{expected[0]} x{expected[1]}",
        figures={
            "generation": link[0],
            "width": link[1],
            "expected_generation": expected[0],
            "expected_width": expected[1],
            "pci_bus_id": device.pci_bus_id,
        },
        remedy="reseat the GPU or its riser; look for AER errors; check the slot's setting in the firmware",
        burn="pcie",
    )


def _rate(link: _Link) -> float:
    """Relative speed: each generation doubles the last."""
    return float(2 ** link[0] * link[1])


def _link(evidence: NodeEvidence, device: DeviceInfo) -> _Link | None:
    loaded = _loaded(evidence, device)
    generations = [r.pcie_generation for r in loaded if r.pcie_generation is not None]
    widths = [r.pcie_width for r in loaded if r.pcie_width is not None]
    return (max(generations), median_low(widths)) if generations and widths else None


def _loaded(evidence: NodeEvidence, device: DeviceInfo) -> list[GpuReading]:
    """Readings from during the copies; else those of a busy GPU."""
    readings = evidence.gpu_readings.get(device.name, ())
    copying = [
        reading
        for found in evidence.measurements
        if found.device == device.name and found.burn == "pcie"
        for reading in readings_during(found, readings)
    ]
    return copying or [r for r in readings if (r.utilization_ratio or 0.0) >= _LOADED_RATIO]
