"""Burns that gave no figure: each says itself what that makes of the verdict.

An illegal access or a failed launch may be the tool's own fault, so alone it is an ERROR. Where NVML lost the GPU too,
or its driver reported an Xid of the hardware, it is the device that failed.
"""

from collections.abc import Sequence

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import NODE, Conclusion, conclude, devices_by_name
from fryer.judges.limits import Limits
from fryer.judges.xid import HARDWARE
from fryer.records import Problem
from watchdog.vocabulary.verdicts import Verdict

_DEVICE_SIGNS = ("illegal memory access", "unspecified launch failure", "misaligned address", "illegal instruction")
"""Texts of cudaErrorIllegalAddress (700), LaunchFailure (719), MisalignedAddress (716), IllegalInstruction (715)."""
_REMEDY = {
    Verdict.ERROR: "the tool did not get to measure it: clear the cause and repeat",
    Verdict.INCONCLUSIVE: "repeat with more time",
    Verdict.FAIL: "drain the node; read the kernel log; reset the GPU or reboot",
}


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """One conclusion for each problem, with its own code and verdict; on the node where it names no known device."""
    known = devices_by_name(evidence)
    return [
        _conclude(evidence, problem, problem.device if problem.device in known else NODE)
        for problem in evidence.problems
    ]


def _conclude(evidence: NodeEvidence, problem: Problem, who: str) -> Conclusion:
    witness = _witness(evidence, who) if any(sign in problem.message.lower() for sign in _DEVICE_SIGNS) else ""
    verdict = Verdict.FAIL if witness else problem.verdict
    return conclude(
        evidence,
        who,
        "device_lost" if witness else problem.code,
        verdict,
        f"{problem.message}; {witness}" if witness else problem.message,
        figures={"burn": problem.burn, "case": problem.case, "device": problem.device},
        remedy=_REMEDY.get(verdict, ""),
        burn=problem.burn,
    )


def _witness(evidence: NodeEvidence, device: str) -> str:
    """Who else says that the device failed; empty where nobody does."""
    if any(reading.lost for reading in evidence.gpu_readings.get(device, ())):
        return "and NVML lost it"
    uuid = next((d.uuid for d in evidence.devices if d.name == device), None)
    codes = [event.code for event in evidence.xids if event.uuid == uuid and event.code in HARDWARE]
    return f"and the driver reported Xid {codes[0]}" if codes else ""
