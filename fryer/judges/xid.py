"""Xids that the driver delivered while the node was burnt: of the hardware, of an application, or unknown.

The lists are small on purpose: what decides a burn-in. Source: NVIDIA, "Xid Errors" (catalogue of the driver's
releases), severities as that document's immediate actions have them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import NODE, Conclusion, burn_at, conclude
from fryer.judges.limits import Limits
from watchdog.collectors.readings import XidEvent
from watchdog.vocabulary.verdicts import Verdict

HARDWARE: Mapping[int, str] = MappingProxyType(
    {
        46: "GPU timeout",
        48: "uncorrectable (double bit) memory error",
        54: "auxiliary power missing",
        62: "PMU halted",
        64: "row remapping failed",
        74: "NVLink error",
        79: "GPU has fallen off the bus",
        95: "uncontained memory error",
        109: "context switch timeout",
        110: "security fault",
        119: "GSP does not answer",
        120: "GSP crashed",
        122: "SPI flash access",
        123: "SPI flash access",
        124: "InfoROM access",
        125: "InfoROM access",
        136: "NVLink training failed",
        140: "memory error that escaped ECC",
        143: "GPU initialisation failed",
        144: "NVLink error",
        145: "NVLink error",
        146: "NVLink error",
        147: "NVLink error",
        148: "NVLink error",
        149: "NVLink error",
        150: "NVLink error",
        156: "resource retirement",
        158: "GPU fatal timeout",
        167: "PCIe fatal timeout",
        168: "reduced memory capacity",
        169: "SEC2 halted",
        171: "uncorrectable DRAM error",
        172: "uncorrectable SRAM error",
    }
)
"""FAIL: the GPU needs a reset, an inspection or replacement."""
SUSPECT: Mapping[int, str] = MappingProxyType(
    {
        37: "driver firmware error",
        38: "driver firmware error",
        39: "copy engine error",
        40: "copy engine error",
        41: "copy engine error",
        44: "fault in a context switch",
        63: "row remapping recorded",
        92: "high rate of corrected memory errors",
        94: "contained memory error",
        141: "CUDA fast path error",
        154: "recovery action changed",
        157: "retirement failed",
    }
)
"""WARN: worth a look; the counters and the recovery action say more."""
APPLICATION: Mapping[int, str] = MappingProxyType(
    {
        8: "GPU stopped processing",
        11: "bad push buffer",
        13: "SM exception",
        25: "bad push buffer",
        31: "MMU page fault",
        32: "bad push buffer",
        69: "class error",
        80: "CRC of pushed data",
        137: "remote MMU fault",
    }
)
"""WARN: an application's fault by NVIDIA's reading, but this tool's kernels have none, so somebody should look."""
NOTES: Mapping[int, str] = MappingProxyType(
    {
        14: "injected error",
        43: "channel torn down after a fault",
        45: "pre-emptive teardown of a channel",
        106: "SMBPBI test",
        107: "SMBPBI test",
    }
)
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
    if code in HARDWARE:
        return "xid", Verdict.FAIL, HARDWARE[code], "drain the node; reset the GPU; if it returns, contact support"
    if code in SUSPECT:
        return "xid", Verdict.WARN, SUSPECT[code], "read the kernel log around it; repeat the burn"
    if code in APPLICATION:
        return (
            "application_xid",
            Verdict.WARN,
            APPLICATION[code],
            "see whether another process ran; if it was this burn and it repeats, run DCGM's EUD",
        )
    if code in NOTES:
        return "application_xid", Verdict.PASS, NOTES[code], "nothing, unless another Xid came before it"
    return "xid", Verdict.WARN, "not in this tool's list", "look it up in NVIDIA's Xid catalogue"
