"""Findings go into tallies: what opens an incident, after so many judgements, and what keeps it open."""

from collections.abc import Sequence
from dataclasses import replace

from watchdog.incidents.book import IncidentLimits, Streak, Tally, tally_key
from watchdog.incidents.desk import Desk
from watchdog.incidents.evidence import finding_record
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import IncidentState
from watchdog.vocabulary.subjects import Subject

UNKNOWN_CODE = "unknown"


def judge(desk: Desk, findings: Sequence[Finding], now: float) -> None:
    """Take what the detectors say in one judgement."""
    for key, tally in list(desk.tallies.items()):
        if tally.is_standing:
            desk.tallies[key] = replace(tally, is_standing=False)
    before, desk.streaks = desk.streaks, {}
    for finding in sorted(findings, key=lambda finding: (finding.since, finding.key)):
        if finding.severity is Severity.OK:
            continue
        subject, code = place(finding)
        name, key = "|".join(finding.key), tally_key(subject, code)
        known = before.get(name)
        streak = Streak(count=known.count + 1 if known else 1, since=known.since if known else now, tally=key)
        desk.streaks[name] = streak
        if not _is_muted(desk, name, key, finding):
            was_printed = key in desk.tallies and desk.tallies[key].num_events > 0
            is_certain = was_printed or is_confirmed(finding, streak, now, desk.limits)
            _take(desk, key, finding, is_confirmed=is_certain, now=now)
    desk.muted = {name: at for name, at in desk.muted.items() if name in desk.streaks}


def place(finding: Finding) -> tuple[Subject, str]:
    """Subject and code that a finding is merged under: not knowing is the collector's incident, never hardware's."""
    if finding.severity is not Severity.UNKNOWN:
        return finding.subject, finding.code
    if finding.subject.kind == "process":
        return finding.subject, UNKNOWN_CODE
    collector = finding.evidence.get("collector", finding.source)
    return Subject(finding.subject.node, "process", f"collector:{collector}"), UNKNOWN_CODE


def is_confirmed(finding: Finding, streak: Streak, now: float, limits: IncidentLimits) -> bool:
    """Whether a finding alone opens an incident: at once when it is certain, else when it stood long enough."""
    if finding.severity is Severity.FAIL or finding.code.startswith(limits.certain):
        return True
    return streak.count >= limits.open_judgements and now - streak.since >= limits.open_seconds


def _is_muted(desk: Desk, name: str, key: str, finding: Finding) -> bool:
    """Whether a person has marked healthy what this finding still tells of; a new event ends that."""
    at = desk.muted.get(name)
    tally = desk.tallies.get(key)
    if at is None or finding.since > at or (tally is not None and tally.last_at > at):
        desk.muted.pop(name, None)
        return False
    return True


def _take(desk: Desk, key: str, finding: Finding, *, is_confirmed: bool, now: float) -> None:
    if key in desk.tallies:
        _end_if_back(desk, key, finding, now)
    tally = desk.tallies.get(key)
    if tally is None:
        if not is_confirmed:
            return
        subject, code = place(finding)
        tally = Tally(key=key, subject=subject, code=code, first_at=finding.since, last_at=finding.since)
        desk.tallies[key] = _told(tally, finding)
        desk.join(key)
    elif is_confirmed:
        was_fail = tally.severity is Severity.FAIL
        desk.tallies[key] = _told(tally, finding)
        if finding.severity is Severity.FAIL and not was_fail:
            desk.join(key)  # what fails draws to itself what comes later on the same part
    desk.tallies[key] = replace(desk.tallies[key], is_standing=True)


def _told(tally: Tally, finding: Finding) -> Tally:
    """The tally with what a finding says; of several the gravest is kept."""
    if tally.has_finding and finding.severity <= tally.severity:
        return tally
    return replace(
        tally,
        has_finding=True,
        severity=finding.severity,
        action=finding.action,
        message=finding.message,
        found=finding_record(finding),
    )


def _end_if_back(desk: Desk, key: str, finding: Finding, now: float) -> None:
    """Close a case that was over when the finding is back: a new one begins, and names the old."""
    case = desk.case_of(key)
    if case is None:
        return
    if case.repaired_at is not None and finding.since > case.repaired_at and not desk.tallies[key].num_events:
        desk.close(case, f"came back after {case.acted.replace('_', ' ')}", now, was_repaired=True)
    elif case.incident.state is IncidentState.VERIFIED and not desk.tallies[key].is_standing:
        desk.close(case, "came back", now, was_repaired=case.acted == "drain")
