"""A driver that stopped answering. A wedged GPU blocks NVML calls for 6 to 45 s: that silence is the finding.

Where the silence has a GPU's name on it, that GPU failed; else nobody can tell, and unknown is never healthy.
"""

import re
from collections.abc import Sequence

from fryer.evidence import DeviceInfo, NodeEvidence
from fryer.judges.conclusion import NODE, Conclusion, burn_at, conclude
from fryer.judges.limits import Limits
from watchdog.collectors.readings import ReaderGap
from watchdog.vocabulary.verdicts import Verdict


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """``reader_hung``: one for each silence (a silence that goes on is reported many times, with one beginning)."""
    longest: dict[tuple[float, str | None], ReaderGap] = {}
    for gap in evidence.gaps:
        key = (gap.at_seconds, gap.uuid)
        if key not in longest or gap.for_seconds > longest[key].for_seconds:
            longest[key] = gap
    return [_hung(evidence, gap) for gap in longest.values()]


def _hung(evidence: NodeEvidence, gap: ReaderGap) -> Conclusion:
    device = next((d for d in evidence.devices if _names(gap, d)), None)
    who = device.name if device else NODE
    return conclude(
        evidence,
        who,
        "reader_hung",
        Verdict.FAIL if device else Verdict.INCONCLUSIVE,
        f"the driver did not answer for {gap.for_seconds:.0f} s, {gap.at_seconds:.0f} s into the run: {gap.message}",
        figures={"at_seconds": gap.at_seconds, "for_seconds": gap.for_seconds, "uuid": gap.uuid},
        remedy="look for Xid 119 and 120 in the kernel log; reset the GPU, or reboot the node if it does not come back",
        burn=burn_at(evidence, who, gap.at_seconds),
    )


def _names(gap: ReaderGap, device: DeviceInfo) -> bool:
    if gap.uuid is not None:
        return gap.uuid == device.uuid
    words = [device.name, device.uuid, *([device.pci_bus_id] if device.pci_bus_id else [])]
    return any(re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", gap.message) for word in words)
