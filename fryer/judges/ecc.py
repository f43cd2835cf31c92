"""Memory errors that ECC found during the run: growth of the driver's volatile counters from first to last reading."""

from collections.abc import Sequence

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude, count_of, increase
from fryer.judges.limits import Limits
from watchdog.vocabulary.verdicts import Verdict


def judge(evidence: NodeEvidence, limits: Limits) -> Sequence[Conclusion]:
    """``ecc_uncorrected``: FAIL for any new one, WARN for those from before; ``ecc_corrected``: WARN above a rate."""
    return [
        conclusion
        for device in evidence.devices
        for conclusion in (_uncorrected(evidence, device.name), _corrected(evidence, device.name, limits))
        if conclusion
    ]


def _uncorrected(evidence: NodeEvidence, device: str) -> Conclusion | None:
    readings = evidence.gpu_readings.get(device, ())
    new = increase(readings, "ecc_uncorrected_total")
    total = next((r.ecc_uncorrected_total for r in reversed(readings) if r.ecc_uncorrected_total is not None), None)
    if new is None or not total:
        return None
    verdict = Verdict.FAIL if new else Verdict.WARN
    when = f"{new:,.0f} during the run" if new else "none of them during the run"
    return conclude(
        evidence,
        device,
        "ecc_uncorrected",
        verdict,
        f"{device} counts {count_of(total, 'uncorrectable memory error')} since the driver was loaded, {when}",
        figures={"new": new, "total": total},
        remedy="reset the GPU so that rows are remapped, and run the memory burn again; if it returns, replace it",
        burn="memory",
    )


def _corrected(evidence: NodeEvidence, device: str, limits: Limits) -> Conclusion | None:
    readings = [r for r in evidence.gpu_readings.get(device, ()) if r.ecc_corrected_total is not None]
    new = increase(readings, "ecc_corrected_total")
    if not new or new < limits.ecc_corrected_least:
        return None
    seconds = max(1.0, readings[-1].at_seconds - readings[0].at_seconds)
    per_hour = new * 3600 / seconds
    if per_hour <= limits.ecc_corrected_per_hour:
        return None
    return conclude(
        evidence,
        device,
        "ecc_corrected",
        Verdict.WARN,
        f"{device} corrected {count_of(int(new), 'memory error')} during the run, {per_hour:,.0f} an hour, limit "
        f"{limits.ecc_corrected_per_hour:.0f}",
        figures={"new": new, "per_hour": per_hour, "warn_per_hour": limits.ecc_corrected_per_hour},
        remedy="watch it: a stream of corrected errors precedes row remapping",
        burn="memory",
    )
