"""What one kernel line says: the value that the parsers of lines return, before node and time are known."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from watchdog.vocabulary.subjects import Kind

PCI = r"[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(?:\.[0-9a-fA-F])?"
"""A PCI address as kernel and driver print it; the driver leaves the function out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelEvent:
    """One thing that the kernel or a driver reported."""

    kind: str
    """Family: ``xid sxid recovery nvrm aer mce edac oom ...``."""
    label: str
    """What exactly, stable, for scripts: ``xid``, ``aer_fatal``, ``mlx5_cmd_timeout``."""
    severity: str
    action: str
    message: str
    code: int | None = None
    pci: str | None = None
    """``0000:3b:00``."""
    about: Kind = "node"
    """Kind of part that it is about."""
    name: str = ""
    """Device that it names, as ``nvme0n1``; else `pci` names the part."""
    data: Mapping[str, object] = field(default_factory=dict)
    """JSON-ready details."""


def pci_address(printed: str) -> str:
    """``00000000:3B:00.0`` -> ``0000:3b:00``: four digits of domain, lower case, no function."""
    domain, bus, device = printed.lower().split(":")
    return f"{int(domain, 16):04x}:{bus}:{device.partition('.')[0]}"
