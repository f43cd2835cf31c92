"""Xids that the driver delivered while the node was burnt: of the hardware, of an application, or unknown.

The sets are small on purpose: what decides a burn-in, where no other program runs. What a code means is said by the
catalogue, `watchdog.xids`.
"""

from collections import defaultdict
from collections.abc import Sequence

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import NODE, Conclusion, burn_at, conclude
from fryer.judges.limits import Limits
from watchdog.collectors.readings import XidEvent
from watchdog.vocabulary.verdicts import Verdict
from watchdog.xids import xid

HARDWARE = frozenset(
    {46, 48, 54, 62, 64, 74, 79, 95, 109, 110, 119, 120, *range(122, 126), 136, 140, 143, *range(144, 151)}
    | {156, 158, 167, 168, 169, 171, 172}
)
"""FAIL: the GPU needs a reset, an inspection or replacement."""
SUSPECT = frozenset({37, 38, 39, 40, 41, 44, 63, 92, 94, 141, 154, 157})
"""WARN: worth a look; the counters and the recovery action say more."""
APPLICATION = frozenset({8, 11, 13, 25, 31, 32, 69, 80, 137})
"""WARN: an application's fault by NVIDIA's reading, but this tool's kernels have none, so somebody should look."""
NOTES = frozenset({14, 43, 45, 106, 107})
"""A note: follows from another Xid, or from a process that was ended."""


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """One conclusion for each device and code: ``xid``, or ``application_xid``."""
    names = {device.uuid: device.name for device in evidence.devices}
    events: defaultdict[tuple[str, int], list[XidEvent]] = defaultdict(list)
    for event in evidence.xids:
        events[names.get(event.uuid, NODE), event.code].append(event)
    return [_conclude(evidence, device, code, found) for (device, code), found in events.items()]


def _conclude(evidence: NodeEvidence, device: str, code: int, found: Sequence[XidEvent]) -> Conclusion:
    word, verdict, meaning, remedy = classify(code)
    times = "" if len(found) == 1 else f" {len(found)} times"
    return conclude(
        evidence,
        device,
        word,
        verdict,
        f"Xid {code} ({meaning}) on {device or found[0].uuid}{times}",
        figures={
            "xid": code,
            "count": len(found),
            "at_seconds": [event.at_seconds for event in found[:100]],
            "uuid": found[0].uuid,
        },
        remedy=remedy,
        burn=burn_at(evidence, device, found[0].at_seconds),
    )


def classify(code: int) -> tuple[str, Verdict, str, str]:
    """(reason code, verdict, meaning, remedy) of an Xid."""
    meaning = xid(code).meaning
    if code in HARDWARE:
        return "xid", Verdict.FAIL, meaning, "drain the node; reset the GPU; if it returns, contact support"
    if code in SUSPECT:
        return "xid", Verdict.WARN, meaning, "read the kernel log around it; repeat the burn"
    if code in APPLICATION:
        remedy = "see whether another process ran; if it was this burn and it repeats, run DCGM's EUD"
        return "application_xid", Verdict.WARN, meaning, remedy
    if code in NOTES:
        return "application_xid", Verdict.PASS, meaning, "nothing, unless another Xid came before it"
    return "xid", Verdict.WARN, meaning, "look it up in NVIDIA's Xid catalogue"
