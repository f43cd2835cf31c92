"""What one kernel line says: the value that the parsers of lines return, before node and time are known."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from watchdog.vocabulary.samples import Event
from watchdog.vocabulary.subjects import Kind, Subject

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

    def subject(self, node: str, uuid: str | None = None) -> Subject:
        """Who it is about: a GPU by its UUID where that is known, else by PCI address; a device by name or address."""
        name = (uuid if self.about == "gpu" else None) or self.name or self.pci
        return Subject(node, self.about, name) if name and self.about != "node" else Subject(node)

    def as_event(
        self, node: str, at: float, line: str, *, uuid: str | None = None, more: Mapping[str, object] | None = None
    ) -> Event:
        """The event on `node` at `at`, Unix seconds; `more` is added to its data."""
        known = {"label": self.label, "pci": self.pci, "uuid": uuid, **self.data, **(more or {})}
        return Event(
            kind=self.kind,
            subject=self.subject(node, uuid),
            at=at,
            code=self.code,
            severity=self.severity,
            action=self.action,
            message=self.message,
            line=line,
            data={key: value for key, value in known.items() if value is not None},
        )


def pci_address(printed: str) -> str:
    """``00000000:3B:00.0`` -> ``0000:3b:00``: four digits of domain, lower case, no function."""
    domain, bus, device = printed.lower().split(":")
    return f"{int(domain, 16):04x}:{bus}:{device.partition('.')[0]}"
