"""A device that nothing is known of: silence is never a pass."""

from collections.abc import Sequence

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import NODE, Conclusion, conclude
from fryer.judges.limits import Limits
from watchdog.vocabulary.verdicts import Verdict


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """``nothing_measured`` ERROR for a device without a figure, unless all was skipped or the run interrupted."""
    if evidence.interrupted:
        return []
    if not evidence.devices:
        return [
            conclude(
                evidence,
                NODE,
                "nothing_measured",
                Verdict.ERROR,
                f"no device of {evidence.node} was found, so nothing was measured",
                figures={"num_devices": 0},
                remedy="see that the driver is loaded and that this user may use the GPUs",
            )
        ]
    measured = measured_devices(evidence)
    skipped = skipped_devices(evidence)
    return [
        conclude(
            evidence,
            device.name,
            "nothing_measured",
            Verdict.ERROR,
            f"no burn measured anything on {device.name} ({device.part})",
            figures={"num_measurements": 0},
            remedy="read the other reasons, clear the cause and repeat",
            burn=next(iter(evidence.repeat), ""),
        )
        for device in evidence.devices
        if device.name not in measured | skipped
    ]


def measured_devices(evidence: NodeEvidence) -> set[str]:
    """Devices with a figure, or with work that was verified (the memory burn gives no rate)."""
    return {m.device for m in evidence.measurements} | {c.device for c in evidence.counted if c.count > 0}


def skipped_devices(evidence: NodeEvidence) -> set[str]:
    """Devices of which all that is said is that burns were skipped."""
    others = {p.device for p in evidence.problems if p.verdict is not Verdict.SKIPPED}
    return {p.device for p in evidence.problems} - others - measured_devices(evidence)
