"""What DCGM's own health watches say, as a second opinion: it judges the counters that the other detectors judge.

So it never fails a part by itself: two judges of one reading that both act are how nodes are drained twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from watchdog.detectors.held import held
from watchdog.detectors.reading import Thresholds, each, label
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Window

CODES = ("dcgm_health",)
_WORDS = ("healthy", "Warning", "Failure")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    level: int = 1
    """Level from which it is told: 1 Warning, 2 Failure (dcgmi health)."""
    held_seconds: float = 60.0
    """How long: two looks, since DCGM's first answer of a watch needs 60 s of data."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """WARN for each part that DCGM calls anything but healthy; of the node only where no GPU is named."""
    found = []
    for subject, series in each(window, "dcgm_health"):
        state = held(series, lambda value: value >= limits.level)
        if state is None or state.seconds < limits.held_seconds:
            continue
        word = _WORDS[min(int(series.newest), len(_WORDS) - 1)]
        said = [e.message for e in window.events if e.kind == "dcgm_health" and e.subject == subject]
        found.append(
            Finding(
                source="dcgm_health",
                subject=subject,
                severity=Severity.WARN,
                code="dcgm_health",
                message=f"DCGM's health watch says {word} of {label(window, subject)}"
                + (f": {' '.join(said[-1].split())}" if said else ""),
                action="inspect",
                since=state.since,
                evidence={"level": series.newest, "seconds": state.seconds, "said": said[-3:]},
            )
        )
    gpus = {finding.subject.node for finding in found if finding.subject.kind == "gpu"}
    return [finding for finding in found if finding.subject.kind != "node" or finding.subject.node not in gpus]
