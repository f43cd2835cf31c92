"""Rows of HBM that were, or could not be, replaced by spares (`nvmlDeviceGetRemappedRows`)."""

from collections.abc import Sequence

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude, count_of, increase
from fryer.judges.limits import Limits
from watchdog.vocabulary.verdicts import Verdict


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """``row_remap_failed`` is a FAIL; ``row_remap_pending`` a WARN: running work is not in danger (nvml.h).

    ``rows_remapped`` is a row lost during the run: FAIL after an uncorrectable error, WARN after corrected ones.
    """
    conclusions = []
    for device in evidence.devices:
        readings = evidence.gpu_readings.get(device.name, ())
        conclusions += _remapped(evidence, device.name)
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


def _remapped(evidence: NodeEvidence, device: str) -> list[Conclusion]:
    readings = evidence.gpu_readings.get(device, ())
    kinds = (
        ("remapped_rows_uncorrected", "an uncorrectable error", Verdict.FAIL),
        ("remapped_rows_corrected", "corrected errors", Verdict.WARN),
    )
    return [
        conclude(
            evidence,
            device,
            "rows_remapped",
            verdict,
            f"{device} replaced {count_of(int(new), 'row')} of its memory after {why} during the run",
            figures={"field": field, "new": int(new), "total": _last(readings, field)},
            remedy="reset the GPU and run the memory burn again; if rows go on being replaced, replace the GPU",
            burn="memory",
        )
        for field, why, verdict in kinds
        if (new := increase(readings, field))
    ]


def _last(readings: Sequence[object], field: str) -> object:
    return next((value for r in reversed(readings) if (value := getattr(r, field)) is not None), None)
