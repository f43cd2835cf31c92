"""A whole kernel log, as text: its lines as events, and what they add up to. It prints nothing.

Times: a log's own stamps; seconds since boot where it has no others; a line without any is as old as the one before.
"""

import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from watchdog.collectors.kmsg_lines import LogReader
from watchdog.collectors.kmsg_prefix import KernelLine, take_apart, with_year
from watchdog.collectors.kmsg_sources import open_source, read_failure
from watchdog.detectors import DETECTORS
from watchdog.incidents import Book, IncidentLimits, update
from watchdog.vocabulary.errors import SourceFailed, UsageError
from watchdog.vocabulary.incidents import Incident
from watchdog.vocabulary.samples import Event, Window

STDIN = "-"
_JUDGES = ("recovery_action", "xid", "kernel_events")
"""Detectors that need nothing but events."""
_STEP_SECONDS = 10.0
_STEP_EVENTS = 4096
_WINDOW_SECONDS = 900.0
_WINDOW_EVENTS = 16_384
_QUIET_JUDGEMENTS = 4
_LONGEST_LINE_BYTES = 1 << 16
_CERTAIN = IncidentLimits(open_judgements=1, open_seconds=0.0)
"""What a log says has happened: nothing waits to be confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent:
    """One event of a log."""

    event: Event
    """Its `at` orders it: Unix seconds, or seconds since boot."""
    line: str
    """The line as it stands in the log."""
    wall_seconds: float | None
    """Unix seconds, where the log says so."""
    boot_seconds: float | None


class KernelLog:
    """Reads a log once."""

    def __init__(self, name: str, *, node: str, driver: str | None = None) -> None:
        """`name`: a file, ``/dev/kmsg``, or ``-`` for stdin. Raises `UsageError` where it is not there."""
        self._name = name
        self._node = node
        self._log = LogReader(driver)
        self._at = 0.0
        self.num_lines = 0
        if name != STDIN and not Path(name).exists():
            raise UsageError(f"--kmsg: {name} does not exist; give a file, /dev/kmsg, or - for stdin")
        if name != STDIN and Path(name).is_dir():
            raise UsageError(f"--kmsg: {name} is a directory; give a file, /dev/kmsg, or - for stdin")

    def events(self) -> Iterator[LogEvent]:
        """Events in the order of the lines. Raises `SourceFailed` where the log can't be read."""
        for line in _lines(self._name):
            self.num_lines += 1
            apart = take_apart(line)
            wall = _wall(apart)
            self._at = self._time_of(apart, wall)
            found = self._log.parse(apart.text)
            if found is None:
                continue
            uuid = self._log.uuids.get(found.pci) if found.pci and found.about == "gpu" else None
            event = found.as_event(self._node, self._at, apart.text, uuid=uuid)
            yield LogEvent(event=event, line=line, wall_seconds=wall, boot_seconds=apart.boot_seconds)

    def _time_of(self, line: KernelLine, wall: float | None) -> float:
        if wall is not None:
            return wall
        if line.boot_seconds is not None:
            return line.boot_seconds
        return self._at + (line.delta_seconds or 0.0)


class IncidentReplay:
    """Judges events as the daemon would have, step by step in the log's own time."""

    def __init__(self) -> None:
        self._book = Book()
        self._step: list[Event] = []
        self._recent: deque[Event] = deque(maxlen=_WINDOW_EVENTS)
        self._incidents: dict[str, Incident] = {}

    def add(self, event: Event) -> None:
        """Take the next event."""
        if self._step and (len(self._step) >= _STEP_EVENTS or abs(event.at - self._step[0].at) > _STEP_SECONDS):
            self._judge_step(until=event.at)
        self._step.append(event)

    def finish(self) -> tuple[Incident, ...]:
        """All incidents, by opening."""
        if self._step:
            self._judge_step(until=None)
        return tuple(sorted(self._incidents.values(), key=lambda incident: (incident.opened_at, incident.id)))

    def _judge_step(self, until: float | None) -> None:
        """Judge what was collected, then the quiet time up to the next event, in which incidents may end."""
        now = max(event.at for event in self._step)
        self._recent.extend(self._step)
        self._update(self._step, now)
        self._step = []
        if until is not None and until - now > _WINDOW_SECONDS:
            for number in range(1, _QUIET_JUDGEMENTS + 1):
                self._update([], now + (until - now) * number / (_QUIET_JUDGEMENTS + 1))

    def _update(self, events: Iterable[Event], now: float) -> None:
        while self._recent and self._recent[0].at < now - _WINDOW_SECONDS:
            self._recent.popleft()
        window = Window(now=now, events=tuple(self._recent))
        judges = [DETECTORS[name] for name in _JUDGES]
        findings = [finding for judge in judges for finding in judge.detect(window, judge.limits())]
        self._book, changes = update(self._book, findings=findings, events=events, now=now, limits=_CERTAIN)
        for change in changes:
            if change.kind == "merged":
                self._incidents.pop(change.incident.id, None)
            else:
                self._incidents[change.incident.id] = change.incident


def incident_document(incident: Incident) -> Mapping[str, object]:
    """An incident in JSON's types."""
    return {
        "id": incident.id,
        "node": incident.node,
        "opened_at": incident.opened_at,
        "updated_at": incident.updated_at,
        "state": incident.state.value,
        "severity": incident.severity.name,
        "root": str(incident.root),
        "root_code": incident.root_code,
        "title": incident.title,
        "action": incident.action,
        "victims": [str(victim) for victim in incident.victims],
        "count": incident.count,
        "codes": list(incident.codes),
        "repeats": incident.repeats,
        "closed_because": incident.closed_because,
    }


def _wall(line: KernelLine) -> float | None:
    if line.wall_seconds is not None and line.year_is_missing:
        return with_year(line.wall_seconds, time.time())
    return line.wall_seconds


def _lines(name: str) -> Iterator[str]:
    """Lines without their ends; what is longer than any kernel line is cut."""
    if name == STDIN:
        yield from _pieces(sys.stdin.buffer)
        return
    path = Path(name)
    try:
        if path.is_char_device():
            yield from _ring(path)
            return
        with path.open("rb") as file:
            yield from _pieces(file)
    except OSError as error:
        raise SourceFailed(read_failure(path, error)) from error


def _pieces(file: BinaryIO) -> Iterator[str]:
    is_rest = False
    while piece := file.readline(_LONGEST_LINE_BYTES):
        if not is_rest:
            yield piece.decode(errors="replace").rstrip("\r\n")
        is_rest = not piece.endswith(b"\n")


def _ring(path: Path) -> Iterator[str]:
    """Everything that the kernel's ring holds now."""
    source = open_source(path, boot_id="", cursor=None)
    try:
        while lines := source.read(_STEP_EVENTS, wait_seconds=0.0).lines:
            yield from (line for _, line in lines)
    finally:
        source.close()
