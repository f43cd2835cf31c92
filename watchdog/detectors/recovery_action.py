"""What the driver itself wants done with a GPU: NVML field 230, and the hexadecimal numbers of Xid 154.

It decides the repair before any catalogue does (from driver R565 on). Field 230 is a state, so it also tells of faults
from before anybody watched; where it was read after the event, it goes before the event.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from watchdog.detectors.held import held
from watchdog.detectors.reading import Thresholds, each, label
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Window
from watchdog.vocabulary.subjects import Subject
from watchdog.xids import recovery

CODES = ("recovery_action",)
METRIC = "recovery_action"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """None: the driver has judged."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:  # noqa: ARG001 - the form of every detector
    """FAIL for each GPU that asks for a recovery now; certain at the first reading or line."""
    findings, read_at = [], {}
    for subject, series in each(window, METRIC):
        read_at[subject] = series.at[-1]
        state = held(series, lambda value: value != 0)
        if state is not None:
            asked = recovery(int(series.newest))
            findings.append(_finding(window, subject, asked.action, asked.meaning, state.since, asked.number))
    said = {event.subject: event for event in window.events if event.kind == "recovery"}
    for subject, event in sorted(said.items(), key=lambda item: item[0]):
        if event.action != "none" and read_at.get(subject, float("-inf")) < event.at:
            number = event.data.get("recovery_to")
            findings.append(_finding(window, subject, event.action, event.message or event.line, event.at, number))
    return _one_each(findings)


def _finding(window: Window, subject: Subject, action: str, words: str, since: float, asked: object) -> Finding:
    return Finding(
        source="recovery_action",
        subject=subject,
        severity=Severity.FAIL,
        code="recovery_action",
        message=f"the driver asks for a recovery of {label(window, subject)}: {words}",
        action=action,
        since=since,
        evidence={"recovery_action": asked},
    )


def _one_each(findings: Sequence[Finding]) -> list[Finding]:
    """The newer word about a GPU replaces the older one."""
    newest: dict[Subject, Finding] = {}
    for finding in findings:
        newest[finding.subject] = finding
    return [newest[subject] for subject in sorted(newest)]
