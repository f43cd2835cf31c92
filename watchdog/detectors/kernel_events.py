"""What the kernel reported of everything but Xids: PCIe, memory, CPUs, disks, file systems, NICs, killed processes.

Severity and action are the event's own, as its reader's rules give them; so is the code, which is the event's family,
so that event and finding are merged into one incident. Information gives nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from watchdog.detectors.reading import Thresholds, count_of, label, last_at
from watchdog.detectors.xid import SEVERITIES
from watchdog.vocabulary.families import event_code
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Event, Window
from watchdog.vocabulary.subjects import Subject

KINDS = (
    "aer", "edac", "file_max", "filesystem", "ghes", "hung_task", "io_error", "lockup", "mce", "memory_failure", "mlx5",
    "netdev", "nfs", "nvme", "nvrm", "oom", "panic", "pcie", "peermem", "raid", "segfault",
)  # fmt: skip
"""Families of kernel lines; events of other kinds (Xids, what a run says) are no business of this detector."""
CODES = KINDS
_LONGEST_LINE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    repeats: int = 1
    """So many lines of one family about one part make a finding; more calm a noisy host (ours)."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """One finding for each family and part, as grave as the gravest of its lines."""
    groups: defaultdict[tuple[Subject, str], list[Event]] = defaultdict(list)
    for event in window.events:
        if event.kind in KINDS and SEVERITIES.get(event.severity, Severity.WARN) is not Severity.OK:
            groups[event.subject, event_code(event.kind, event.code)].append(event)
    return [
        _finding(window, subject, code, groups[subject, code])
        for subject, code in sorted(groups)
        if sum(map(count_of, groups[subject, code])) >= limits.repeats
    ]


def _finding(window: Window, subject: Subject, code: str, events: Sequence[Event]) -> Finding:
    gravest = max(events, key=lambda event: (SEVERITIES.get(event.severity, Severity.WARN), event.at))
    count = sum(map(count_of, events))
    times = f", {count} times" if count > 1 else ""
    return Finding(
        source="kernel_events",
        subject=subject,
        severity=SEVERITIES.get(gravest.severity, Severity.WARN),
        code=code,
        message=f"{gravest.message or gravest.line} ({label(window, subject)}{times})",
        action=gravest.action,
        since=events[0].at,
        evidence={
            "labels": sorted({str(event.data["label"]) for event in events if "label" in event.data}),
            "count": count,
            "last_at": last_at(events),
            "line": (gravest.line or gravest.message)[:_LONGEST_LINE],
        },
    )
