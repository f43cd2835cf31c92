"""GPUs that should be there and are not: on the bus or asked for and not found, or of this node's last run and gone."""

from collections.abc import Sequence

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import NODE, Conclusion, conclude, count_of
from fryer.judges.limits import Limits
from watchdog.vocabulary.verdicts import Verdict

_SHOWN = 8


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """``gpu_missing`` FAIL for fewer GPUs than expected; ``gpu_gone`` WARN for those that were here at the last run."""
    return [conclusion for conclusion in (_missing(evidence), _gone(evidence)) if conclusion]


def _missing(evidence: NodeEvidence) -> Conclusion | None:
    num_found = sum(device.kind != "cpu" for device in evidence.devices)
    if evidence.expected_gpus is None or num_found >= evidence.expected_gpus:
        return None
    return conclude(
        evidence,
        NODE,
        "gpu_missing",
        Verdict.FAIL,
        f"{count_of(num_found, 'GPU')} found where {evidence.expected_gpus:,} should be: "
        f"{evidence.expected_gpus - num_found:,} missing",
        figures={"num_found": num_found, "num_expected": evidence.expected_gpus},
        remedy="compare lspci -d 10de: with nvidia-smi -L; read the kernel log for Xid 79 and PCIe errors; see whether "
        "a container or CUDA_VISIBLE_DEVICES hides it; power-cycle the node, then reseat the GPU",
    )


def _gone(evidence: NodeEvidence) -> Conclusion | None:
    if not evidence.missing_past:
        return None
    shown = ", ".join(evidence.missing_past[:_SHOWN])
    more = len(evidence.missing_past) - _SHOWN
    return conclude(
        evidence,
        NODE,
        "gpu_gone",
        Verdict.WARN,
        f"{count_of(len(evidence.missing_past), 'GPU')} of this node's last qualification not here now: {shown}"
        + (f" and {more:,} more" if more > 0 else ""),
        figures={"uuids": list(evidence.missing_past)},
        remedy="if nobody replaced or hid them, look for them as for missing GPUs",
    )
