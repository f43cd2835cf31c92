"""Burns that gave no figure: each says itself what that makes of the verdict."""

from collections.abc import Sequence

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import NODE, Conclusion, conclude, devices_by_name
from fryer.judges.limits import Limits
from watchdog.vocabulary.verdicts import Verdict

_REMEDY = {
    Verdict.ERROR: "the tool did not get to measure it: clear the cause and repeat",
    Verdict.INCONCLUSIVE: "repeat with more time",
    Verdict.FAIL: "drain the node; read the kernel log; reset the GPU or reboot",
}


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """One conclusion for each problem, with its own code and verdict; on the node where it names no known device."""
    known = devices_by_name(evidence)
    return [
        conclude(
            evidence,
            problem.device if problem.device in known else NODE,
            problem.code,
            problem.verdict,
            problem.message,
            figures={"burn": problem.burn, "case": problem.case, "device": problem.device},
            remedy=_REMEDY.get(problem.verdict, ""),
            burn=problem.burn,
        )
        for problem in evidence.problems
    ]
