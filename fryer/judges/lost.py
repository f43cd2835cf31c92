"""A GPU that the driver no longer reaches (NVML: GPU_IS_LOST or RESET_REQUIRED)."""

from collections.abc import Sequence

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import Conclusion, burn_at, conclude
from fryer.judges.limits import Limits
from watchdog.vocabulary.verdicts import Verdict


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """``device_lost`` FAIL for each GPU that was lost at any look."""
    conclusions = []
    for device in evidence.devices:
        lost = [r.at_seconds for r in evidence.gpu_readings.get(device.name, ()) if r.lost]
        if lost:
            conclusions.append(
                conclude(
                    evidence,
                    device.name,
                    "device_lost",
                    Verdict.FAIL,
                    f"{device.name} ({device.pci_bus_id or device.uuid}) was lost {lost[0]:.0f} s into the run: NVML "
                    "can no longer reach it, or wants it reset",
                    figures={"at_seconds": lost[0], "num_readings": len(lost), "pci_bus_id": device.pci_bus_id},
                    remedy="drain the node and reboot it; if it happens again, reseat or replace the GPU",
                    burn=burn_at(evidence, device.name, lost[0]),
                )
            )
    return conclusions
