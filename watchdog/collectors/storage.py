"""How fast and how full the configured folders are. Each is touched by a child of its own (`storage_probe`).

A network mount that hangs takes its child with it, unkillably; the collector goes on, says how long that folder has
been silent, and sends no second child there while the first one is in it.
"""

import errno
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from watchdog.collectors import Collected
from watchdog.vocabulary.errors import SourceFailed, SourceMissing
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.subjects import Subject

PROBE = Path(__file__).with_name("storage_probe.py")
_FILLS = ("total_bytes", "free_bytes", "total_inodes", "free_inodes")
_LATENCIES = ("write_latency_seconds", "read_latency_seconds", "metadata_latency_seconds")
_NO_EVENTS = (0, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR)
"""A full disk is a level; a folder that is not there or not ours is for whoever wrote the settings; 0: a child that was
killed says nothing of the folder."""
_POLL_SECONDS = 0.02
_OTHER_BYTES = "read back other bytes than it wrote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`[watchdog.collectors.storage]`."""

    paths: tuple[str, ...] = ()
    """Folders that training needs: data, checkpoints, scratch. The daemon must be allowed to write there."""
    deadline_seconds: float = 10.0
    """Longest wait for the answers of one look; a folder without one counts as silent."""

    def __post_init__(self) -> None:
        """Bounds; folders are not touched here, as one might hang."""
        if not 0.1 <= self.deadline_seconds <= 600:
            raise ValueError(f"deadline_seconds is {self.deadline_seconds:g}; allowed: 0.1 to 600")
        relative = [path for path in self.paths if not path.startswith("/")]
        if relative:
            raise ValueError(f"paths has {relative[0]!r}; allowed: absolute paths")


@dataclass(slots=True)
class _Probe:
    """A child that is out in a folder."""

    process: subprocess.Popen[str]
    begun_real: float


class Storage:
    """The configured folders, a row each."""

    def __init__(self, node: str, settings: Settings | None = None, probe: Path = PROBE) -> None:
        """Nothing is touched before `collect`. `probe`: the children's program."""
        self._node = node
        self._probe = probe
        self._settings = settings or Settings()
        self._out: dict[str, _Probe] = {}
        self._failing: dict[str, str] = {}
        self._told: dict[str, dict[str, object]] = {}

    def collect(self, now: float) -> Collected:
        """One look at every folder; raises `SourceMissing` without any, `SourceFailed` where no child can start."""
        if not self._settings.paths:
            raise SourceMissing("storage: no paths in [watchdog.collectors.storage]")
        for path in self._settings.paths:
            if path not in self._out:
                self._out[path] = self._send(path)
        answers = self._wait()
        rows, events, facts = [], [], {}
        for path in self._settings.paths:
            subject = Subject(self._node, "disk", path)
            answer = answers.get(path)
            if answer is None:
                silent = time.monotonic() - self._out[path].begun_real
                rows.append(Row(subject=subject, at=now, values={"storage_silent_seconds": silent}))
                continue
            rows.append(Row(subject=subject, at=now, values=_values(answer)))
            events += self._events(subject, answer, now)
            known = _facts(answer)
            if known != self._told.get(path):
                facts[subject] = self._told[path] = known
        return Collected(rows=tuple(rows), events=tuple(events), facts=facts)

    def close(self) -> None:
        """End the children; one that hangs in the kernel is not waited for."""
        for probe in self._out.values():
            probe.process.kill()
            if probe.process.stdout is not None:
                probe.process.stdout.close()
        self._out.clear()

    def _send(self, path: str) -> _Probe:
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(self._probe), path, self._node],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd="/",  # not a folder that may hang
            )
        except OSError as error:
            raise SourceFailed(f"storage: no child can be started for {path}: {error}") from error
        return _Probe(process, time.monotonic())

    def _wait(self) -> dict[str, Mapping[str, object]]:
        """What came within the deadline, by path; a child that ended without a word is an error too."""
        deadline = time.monotonic() + self._settings.deadline_seconds
        answers: dict[str, Mapping[str, object]] = {}
        while self._out:
            for path, probe in list(self._out.items()):
                if probe.process.poll() is not None:
                    answers[path] = _answer(probe.process)
                    del self._out[path]
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL_SECONDS if self._out else 0)
        return answers

    def _events(self, subject: Subject, answer: Mapping[str, object], now: float) -> list[Event]:
        """An event when a folder begins to fail, or fails in another way."""
        error = _failure(answer)
        before = self._failing.get(subject.name)
        self._failing[subject.name] = error
        is_fault = error == _OTHER_BYTES or answer.get("errno", 0) not in _NO_EVENTS
        if not error or error == before or not is_fault:
            return []
        message = f"{subject.name}: a small file can't be written and read back: {error}"
        event = Event(kind="io_error", subject=subject, at=now, severity="critical", action="inspect", message=message)
        return [event]


def _answer(process: subprocess.Popen[str]) -> Mapping[str, object]:
    assert process.stdout is not None
    with process.stdout:
        line = process.stdout.read()
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {"error": f"the probe ended with code {process.returncode}"}


def _failure(answer: Mapping[str, object]) -> str:
    """What failed; empty where nothing did."""
    if answer.get("is_same") is False:
        return _OTHER_BYTES
    return str(answer.get("error", ""))


def _values(answer: Mapping[str, object]) -> dict[str, float]:
    found = {name: answer[name] for name in (*_FILLS, *_LATENCIES) if isinstance(answer.get(name), int | float)}
    values = {name: float(value) for name, value in found.items() if isinstance(value, int | float)}
    return {**values, "probe_failed": float(bool(_failure(answer))), "storage_silent_seconds": 0.0}


def _facts(answer: Mapping[str, object]) -> dict[str, object]:
    """How it was written, and what is wrong now."""
    found: dict[str, object] = {"probe_error": _failure(answer)}
    if "is_direct" in answer:
        found["is_direct"] = bool(answer["is_direct"])
    return found
