"""metrics.jsonl: one record a line, appended. What a crash cut off is skipped by readers.

A line is with the kernel before `write` returns: a killed process loses none. It is on the disk once a durable
checkpoint is or the run ends: a machine that fails loses no line about steps that are not lost themselves.
"""

import json
import os
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer.metrics.record import CheckpointChanged, Record, RunBegins, RunEnds, to_json

MOST_WAITING = 10_000
"""Lines kept for a disk that takes none, a few megabytes; then the oldest are dropped."""


class JsonLines:
    """Appends to a file."""

    def __init__(self, path: Path) -> None:
        """Opens it. Raises OSError where it can't be written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        size = os.fstat(self._file).st_size
        self._is_torn = size > 0 and os.pread(self._file, 1, size - 1) != b"\n"
        """The last line has no end: the next one must not become a part of it."""

    def write(self, record: Record) -> None:
        """One line. Raises OSError where the disk is full or gone: the line is kept and written with a later one."""
        self._waiting.append(json.dumps(to_json(record), allow_nan=False).encode() + b"\n")
        self._put()
        if isinstance(record, RunBegins | RunEnds) or (
            isinstance(record, CheckpointChanged) and record.tier == "durable"
        ):
            os.fdatasync(self._file)

    def _put(self) -> None:
        while self._waiting:
            data = (b"\n" if self._is_torn else b"") + self._waiting[0]
            written = os.write(self._file, data)
            self._is_torn = written < len(data)
            if not self._is_torn:
                self._waiting.popleft()

    def close(self) -> None:
        """No more."""
        os.close(self._file)


def read_records(path: Path, *, most_bytes: int | None = None) -> Iterator[Mapping[str, Any]]:
    """Every whole record, in order of writing; nothing where there is no file. `most_bytes`: of the file's end only.

    Raises OSError where the file can't be read.
    """
    try:
        lines = path.open("rb")
    except FileNotFoundError:
        return
    with lines:
        if most_bytes is not None and (size := os.fstat(lines.fileno()).st_size) > most_bytes:
            # one byte before, so that a line that begins just there is not taken for the rest of one
            lines.seek(size - most_bytes - 1)
            lines.readline()
        for line in lines:
            if (record := _parse(line)) is not None:
                yield record


def _parse(line: bytes) -> Mapping[str, Any] | None:
    """None where it was cut off."""
    try:
        record = json.loads(line)
    except ValueError:  # or it is not UTF-8
        return None
    return record if isinstance(record, dict) and isinstance(record.get("type"), str) else None
