"""DCGM's own health checks, asked through the program `dcgmi`; and its diagnostic, for whoever owns the GPUs meanwhile.

`dcgmi health` only asks what the host engine watches anyway, so it may be called while training runs. `dcgmi diag`
loads the GPUs: it is never called periodically.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from watchdog.collectors import Collected
from watchdog.collectors.dcgmi_diag import DiagReport, parse_diag
from watchdog.collectors.dcgmi_health import Health, Incident, parse_discovery, parse_health
from watchdog.vocabulary.errors import SourceFailed, SourceMissing
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.subjects import Subject
from watchdog.vocabulary.verdicts import Verdict

DIAG_SECONDS = 3600.0
"""Deadline of a diagnostic: level 3 takes some 20 minutes on eight GPUs, level 4 an hour."""
_SEVERITIES = ("info", "warning", "critical")
"""Of an event, by the level of the incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[watchdog.collectors.dcgmi]`."""

    program: str = "dcgmi"
    """Name or path; empty: it is not asked."""
    deadline_seconds: float = 10.0

    def __post_init__(self) -> None:
        """Bounds."""
        if not 0.1 <= self.deadline_seconds <= 60:
            raise ValueError(f"deadline_seconds is {self.deadline_seconds:g}; allowed: 0.1 to 60")


class Dcgmi:
    """The health of GPUs and switches as DCGM sees it: `dcgm_health` 0 healthy, 1 warning, 2 failure."""

    def __init__(self, node: str, settings: Settings | None = None) -> None:
        """Nothing is called before `collect`."""
        self._node = Subject(node)
        self._settings = settings or Settings()
        self._uuids: dict[int, str] = {}
        self._incidents: frozenset[Incident] = frozenset()

    def collect(self, now: float) -> Collected:
        """One look. Raises `SourceMissing` without the program or without watches, `SourceFailed` without a report."""
        program, seconds = self._settings.program, self._settings.deadline_seconds
        if not program or shutil.which(program) is None:
            raise SourceMissing(f"dcgmi: no program {program!r} on this machine")
        health = parse_health(_ask((program, "health", "-c", "-j"), seconds))
        if not self._uuids or any(number not in self._uuids for number in _gpus(health)):
            self._uuids = parse_discovery(_ask((program, "discovery", "-l"), seconds))
        rows = [Row(subject=self._node, at=now, values={"dcgm_health": float(health.level)})]
        for number, uuid in self._uuids.items():
            level = health.levels.get(("GPU", number), 0)
            subject = Subject(self._node.node, "gpu", uuid)
            rows.append(Row(subject=subject, at=now, values={"dcgm_health": float(level)}))
        new = sorted(set(health.incidents) - self._incidents)
        self._incidents = frozenset(health.incidents)
        return Collected(rows=tuple(rows), events=tuple(self._event(incident, now) for incident in new))

    def close(self) -> None:
        """Nothing is held."""

    def _event(self, incident: Incident, now: float) -> Event:
        uuid = self._uuids.get(incident.id) if incident.group == "GPU" else None
        return Event(
            kind="dcgm_health",
            subject=self._node if uuid is None else Subject(self._node.node, "gpu", uuid),
            at=now,
            severity=_SEVERITIES[incident.level],
            action="inspect",
            message=f"DCGM, {incident.group} {incident.id}, {incident.system}: {incident.message}",
            data={"group": incident.group, "id": incident.id, "system": incident.system},
        )


def run_diag(
    level: int, program: str = "dcgmi", num_gpus: int | None = None, deadline_seconds: float = DIAG_SECONDS
) -> DiagReport:
    """Run `dcgmi diag` at `level` 1 to 4 on all GPUs, which must be idle; blocks up to the deadline.

    Raises `SourceMissing` without the program. A report that its exit code contradicts is INCONCLUSIVE.
    """
    if not 1 <= level <= 4:
        raise ValueError(f"level is {level}; allowed: 1 to 4")
    if shutil.which(program) is None:
        raise SourceMissing(f"dcgmi: no program {program!r} on this machine")
    try:
        text, code = _call((program, "diag", "-r", str(level), "-j"), deadline_seconds)
    except SourceFailed as error:
        return DiagReport(verdict=Verdict.INCONCLUSIVE, reason=str(error))
    report = parse_diag(text, num_gpus)
    if code != 0 and report.verdict in (Verdict.PASS, Verdict.SKIPPED):
        reason = f"dcgmi diag ended with code {code}, though its report shows no fault"
        return replace(report, verdict=Verdict.INCONCLUSIVE, reason=reason)
    return report


def _gpus(health: Health) -> Iterator[int]:
    return (number for group, number in health.levels if group == "GPU")


def _ask(command: Sequence[str], deadline_seconds: float) -> str:
    """What a command printed, whatever its exit code: its words say more. Its errors where it printed nothing else."""
    return _call(command, deadline_seconds)[0]


def _call(command: Sequence[str], deadline_seconds: float) -> tuple[str, int]:
    """Output and exit code; raises `SourceFailed` when it can't be started or does not end in time."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # what it started itself ends with it
        )
    except OSError as error:
        raise SourceFailed(f"{' '.join(command)} can't be started: {error}") from error
    try:
        text, complaint = process.communicate(timeout=deadline_seconds)
    except subprocess.TimeoutExpired as error:
        with suppress(ProcessLookupError):  # it ended just now
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # in an uninterruptible call: the kernel ends it when that returns
            process.communicate(timeout=1.0)
        message = f"{' '.join(command)} did not end within {deadline_seconds:g} s; is nv-hostengine hung?"
        raise SourceFailed(message) from error
    return text or complaint, process.returncode
