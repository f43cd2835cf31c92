"""Rows of HBM that were, or could not be, replaced by spares (`nvmlDeviceGetRemappedRows`)."""

from collections.abc import Sequence

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude
from fryer.judges.limits import Limits
from watchdog.vocabulary.verdicts import Verdict


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """``row_remap_failed`` is a FAIL; ``row_remap_pending`` a WARN: running work is not in danger (nvml.h)."""
    conclusions = []
    for device in evidence.devices:
        readings = evidence.gpu_readings.get(device.name, ())
        figures = {
            "remapped_rows_corrected": _last(readings, "remapped_rows_corrected"),
            "remapped_rows_uncorrected": _last(readings, "remapped_rows_uncorrected"),
        }
        if any(r.remap_failed for r in readings):
            conclusions.append(
                conclude(
                    evidence,
                    device.name,
                    "row_remap_failed",
                    Verdict.FAIL,
                    f"{device.name} could not remap a bad row: a bank has no spare rows left",
                    figures=figures,
                    remedy="replace the GPU: row remapping failure is a ground for return",
                    burn="memory",
                )
            )
        if _last(readings, "remap_pending"):
            conclusions.append(
                conclude(
                    evidence,
                    device.name,
                    "row_remap_pending",
                    Verdict.WARN,
                    f"{device.name} has a row remapping pending, which a reset of the GPU would finish",
                    figures=figures,
                    remedy="reset the GPU before the node takes work, then run the memory burn again",
                    burn="memory",
                )
            )
    return conclusions


def _last(readings: Sequence[object], field: str) -> object:
    return next((value for r in reversed(readings) if (value := getattr(r, field)) is not None), None)
