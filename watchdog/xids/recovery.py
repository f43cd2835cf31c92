"""The recovery action that the driver itself asks for: NVML field 230, and the hexadecimal numbers of Xid 154.

The number decides, never the words: drivers print ``Node Reboot Required`` and ``OS Reboot`` for the same 0x2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """One value of `nvmlGpuRecoveryAction_t` in our words."""

    number: int
    severity: str
    action: str
    meaning: str


_KNOWN: Mapping[int, Recovery] = MappingProxyType(
    {
        number: Recovery(number=number, severity=severity, action=action, meaning=meaning)
        for number, severity, action, meaning in (
            (0, "info", "none", "no recovery is needed"),
            (1, "critical", "reset_gpu", "reset the GPU"),
            (2, "critical", "reboot_node", "reboot the node"),
            (3, "critical", "drain_reset", "drain the peers connected over NVLink, then reset"),
            (4, "critical", "drain_reset", "drain the node, then reset the GPU"),
        )
    }
)


def recovery(number: int) -> Recovery:
    """What a recovery action asks for; a number that this version does not know asks for a person."""
    return _KNOWN.get(number) or Recovery(
        number=number,
        severity="critical",
        action="contact_support",
        meaning=f"recovery action {number:#x}, which this version does not know",
    )
