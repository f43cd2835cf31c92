"""What a detector concludes, and how grave it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from watchdog.vocabulary.subjects import Subject


class Severity(IntEnum):
    """Ordered, so that max() is the state of a node. Silence is UNKNOWN, never OK."""

    OK = 0
    UNKNOWN = 1
    WARN = 2
    FAIL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or not known, now."""

    source: str
    """Name of the detector in `DETECTORS`."""
    subject: Subject
    severity: Severity
    code: str
    """A word for scripts, stable: ``xid_79``, ``thermal_margin``, ``nvml_unresponsive``."""
    message: str
    """One sentence with the figures."""
    action: str = "none"
    """What to do: ``none restart_app reset_gpu reboot_node drain_reset inspect contact_support save stop_job``."""
    since: float
    """When it began, Unix seconds."""
    evidence: Mapping[str, object] = field(default_factory=dict)
    """The figures behind it, JSON-ready."""

    @property
    def key(self) -> tuple[str, str, str]:
        """Findings with equal keys are the same finding at different times."""
        return (self.source, str(self.subject), self.code)


def state(findings: Iterable[Finding]) -> Severity:
    """The gravest of them; OK when there is none."""
    return max((finding.severity for finding in findings), default=Severity.OK)
