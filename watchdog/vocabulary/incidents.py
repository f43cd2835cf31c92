"""Findings and events that belong together: one fault, its root and its victims, from open to closed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.subjects import Subject


class IncidentState(StrEnum):
    """Where an incident is. It only moves forward; a fault that comes back opens a new one that names the old."""

    OPEN = "open"
    ACTED = "acted"
    VERIFIED = "verified"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One fault."""

    id: str
    """UUID."""
    node: str
    opened_at: float
    updated_at: float
    """When something was last added."""
    state: IncidentState
    severity: Severity
    root: Subject
    """What failed first, or what the driver's own verdict names."""
    root_code: str
    """``xid_79``, ``thermal_throttle``, ``nvml_unresponsive``."""
    title: str
    """One sentence."""
    action: str
    """Repair that the gravest finding asks for."""
    victims: tuple[Subject, ...] = ()
    """What failed because of the root."""
    count: int = 1
    """How many events and findings were merged into it."""
    codes: tuple[str, ...] = ()
    """All codes in it, in order of first appearance."""
    repeats: int = 0
    """Earlier incidents with the same root and code within the memory, across reboots."""
    previous: str | None = None
    """Id of the last of them."""
    acted_at: float | None = None
    verified_at: float | None = None
    closed_at: float | None = None
    closed_because: str = ""
    cost: Mapping[str, float] = field(default_factory=dict)
    """``steps``, ``seconds``, ``gpu_hours``, where known."""
    evidence: tuple[Mapping[str, object], ...] = ()
    """The first, gravest and last of what was merged, JSON-ready; bounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A person says that something is healthy. A record is added; nothing is deleted."""

    incident: str
    by: str
    reason: str
    at: float
