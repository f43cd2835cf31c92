"""A GPU that another process uses told apart from a slow one: what it does for others it does not do for us."""

from collections.abc import Sequence
from dataclasses import replace

from fryer.evidence import NodeEvidence
from fryer.judges.busy import EXCUSED
from fryer.judges.conclusion import Conclusion, conclude
from fryer.judges.limits import Limits
from watchdog.vocabulary.verdicts import Verdict

_SHOWN = 3
_REMEDY = "end the other processes (nvidia-smi shows them), or take the node out of its queue, and repeat"


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """``busy_gpu`` WARN on each GPU on which other processes were seen: its figures are lower bounds."""
    return [
        conclude(
            evidence,
            device.name,
            "busy_gpu",
            Verdict.WARN,
            f"{_show(processes)} on {device.name}: its figures are lower bounds",
            figures={"processes": list(processes)},
            remedy=_REMEDY,
        )
        for device in evidence.devices
        if (processes := evidence.gpu_processes.get(device.name, ()))
    ]


def excuse(evidence: NodeEvidence, conclusions: Sequence[Conclusion]) -> list[Conclusion]:
    """The conclusions, with those that another process on the GPU explains turned into INCONCLUSIVE ``busy_gpu``."""
    return [
        _excused(c, processes)
        if c.reason.code in EXCUSED
        and c.reason.verdict is not Verdict.PASS
        and (processes := evidence.gpu_processes.get(c.device, ()))
        else c
        for c in conclusions
    ]


def _excused(conclusion: Conclusion, processes: Sequence[str]) -> Conclusion:
    reason = conclusion.reason
    return replace(
        conclusion,
        reason=replace(
            reason,
            code="busy_gpu",
            verdict=Verdict.INCONCLUSIVE,
            message=f"{reason.message}; but {_show(processes)}",
            evidence={**reason.evidence, "processes": list(processes), "instead_of": reason.code},
            remedy=_REMEDY,
        ),
    )


def _show(processes: Sequence[str]) -> str:
    shown = ", ".join(f"({each})" for each in processes[:_SHOWN])
    verb = "was" if len(processes) == 1 else "were"
    noun = "other process" if len(processes) == 1 else "other processes"
    return f"{len(processes):,} {noun} {verb} at work: {shown}{' ...' if len(processes) > _SHOWN else ''}"
