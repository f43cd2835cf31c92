"""What the driver itself wants done with a GPU (NVML field 230, from driver R565 on): its word goes before ours."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from fryer.evidence import NodeEvidence
from fryer.judges.conclusion import Conclusion, conclude
from fryer.judges.limits import Limits
from watchdog.vocabulary.verdicts import Verdict

ACTIONS: Mapping[int, str] = MappingProxyType(
    {
        1: "reset the GPU",
        2: "reboot the node",
        3: "drain the peers connected over NVLink",
        4: "drain the node, then reset the GPU",
    }
)
"""`nvmlGpuRecoveryAction_t` in nvml.h; 0 is none."""


def judge(evidence: NodeEvidence, _: Limits) -> Sequence[Conclusion]:
    """``recovery_action`` FAIL for a GPU that asks for one at its last reading, or asked for one during the run."""
    conclusions = []
    for device in evidence.devices:
        asked = [r.recovery_action for r in evidence.gpu_readings.get(device.name, ()) if r.recovery_action]
        if asked:
            words = ACTIONS.get(asked[-1], f"recovery action {asked[-1]}, which this version does not know")
            conclusions.append(
                conclude(
                    evidence,
                    device.name,
                    "recovery_action",
                    Verdict.FAIL,
                    f"the driver asks for a recovery of {device.name}: {words}",
                    figures={"recovery_action": asked[-1], "num_readings": len(asked)},
                    remedy=words,
                )
            )
    return conclusions
