"""Where kernel lines come from: the kernel's ring, a file that grows, a FIFO. What lines say is not theirs to know.

Each line has a position that only grows, so that `(id, position)` is a cursor. Gotchas of ``/dev/kmsg``: a record
longer than the buffer is EINVAL and stays; a ring that overtook us is EPIPE once; nothing to read is EAGAIN.
"""

import errno
import os
import select
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from watchdog.vocabulary.errors import SourceFailed, SourceMissing

Cursor = tuple[str, int]
"""(id of the boot or the file, position of the last line that was read)."""

_MOST_RECORD_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20
_LOOK_SECONDS = 0.025
"""How often a file is looked at for more: a file can't be waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one read gave."""

    lines: tuple[tuple[int, str], ...]
    """(position, line without its end)."""
    kind: Literal["ring", "backlog", "live"]
    """Records of the kernel's own ring; lines older than this reader; lines that were written while it read."""
    is_fresh: bool = False
    """We waited for the first line, so that it was written just now."""


class LineSource(Protocol):
    """One log."""

    num_lost: int
    """Lines that were overwritten before they were read."""

    @property
    def id(self) -> str:
        """The boot, or the file, that positions count in."""

    def read(self, most: int, wait_seconds: float) -> Batch:
        """At most `most` lines; waits for the first at most `wait_seconds`. Raises OSError."""

    def close(self) -> None:
        """Give back the descriptor."""


def open_source(path: Path, boot_id: str, cursor: Cursor | None, *, from_end: bool = False) -> LineSource:
    """The source at `path`, after `cursor` where that is of this boot or this file.

    Raises `SourceMissing` where nothing is there, `SourceFailed` where it may not be read.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISCHR(mode):
            return DeviceSource(path, boot_id, cursor, from_end=from_end)
        if stat.S_ISFIFO(mode):
            return FifoSource(path, boot_id, cursor)
        if stat.S_ISREG(mode):
            return FileSource(path, cursor, from_end=from_end)
    except FileNotFoundError as error:
        raise SourceMissing(f"the kernel log {path} does not exist") from error
    except OSError as error:
        raise SourceFailed(read_failure(path, error)) from error
    raise SourceFailed(f"{path} is no kernel log: it is neither a character device, nor a file, nor a FIFO")


def read_failure(path: Path, error: OSError) -> str:
    """One sentence with what to do."""
    if isinstance(error, PermissionError):
        return f"the kernel log {path} may not be read ({error.strerror}): run as root, or with CAP_SYSLOG"
    return f"the kernel log {path} can't be read: {error.strerror or error}"


class DeviceSource:
    """The kernel's ring, one record a read. Positions are its sequence numbers."""

    def __init__(self, path: Path, boot_id: str, cursor: Cursor | None, *, from_end: bool = False) -> None:
        self.id = boot_id
        self.num_lost = 0
        self._last = cursor[1] if cursor is not None and cursor[0] == boot_id else None
        self._size = 8192
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if from_end:
            os.lseek(self._descriptor, 0, os.SEEK_END)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def read(self, most: int, wait_seconds: float) -> Batch:
        """Records after the cursor, oldest first."""
        lines = self._drain(most)
        if lines:
            return Batch(lines=tuple(lines), kind="ring")
        self._poll.poll(wait_seconds * 1000)
        return Batch(lines=tuple(self._drain(most)), kind="ring", is_fresh=True)

    def close(self) -> None:
        """Give back the descriptor."""
        os.close(self._descriptor)

    def _drain(self, most: int) -> list[tuple[int, str]]:
        lines: list[tuple[int, str]] = []
        while len(lines) < most:
            record = self._record()
            if record is None:
                break
            line = record.partition(b"\n")[0].decode(errors="replace")
            number = line.split(",", 2)[1:2]
            if not number or not number[0].isdecimal():
                continue
            position = int(number[0])
            if self._last is not None:
                if position <= self._last:
                    continue
                self.num_lost += position - self._last - 1
            self._last = position
            lines.append((position, line))
        return lines

    def _record(self) -> bytes | None:
        """The next record; None when there is none. What was overwritten shows in the sequence numbers."""
        while True:
            try:
                return os.read(self._descriptor, self._size)
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno == errno.EPIPE:
                    continue
                if error.errno != errno.EINVAL or self._size >= _MOST_RECORD_BYTES:
                    raise
                self._size *= 2


class FifoSource:
    """A FIFO, for tests and for a log that something else hands on. Positions count its lines."""

    def __init__(self, path: Path, boot_id: str, cursor: Cursor | None) -> None:
        self.id = f"fifo:{boot_id}"
        self.num_lost = 0
        self._last = cursor[1] if cursor is not None and cursor[0] == self.id else 0
        self._rest = b""
        # for writing too: with no writer left it would be at its end, and never wait again
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def read(self, most: int, wait_seconds: float) -> Batch:
        """Lines that were written; several may come in one read, and one in several."""
        if b"\n" not in self._rest and self._poll.poll(wait_seconds * 1000):
            self._fill()
        *whole, self._rest = self._rest.split(b"\n", most)
        lines = tuple((self._last + i, line.decode(errors="replace")) for i, line in enumerate(whole, start=1))
        self._last += len(lines)
        return Batch(lines=lines, kind="live")

    def close(self) -> None:
        """Give back the descriptor."""
        os.close(self._descriptor)

    def _fill(self) -> None:
        try:
            self._rest += os.read(self._descriptor, _CHUNK_BYTES)
        except BlockingIOError:  # another reader was faster
            return
        if len(self._rest) > _CHUNK_BYTES and b"\n" not in self._rest:
            self._rest = b""


class FileSource:
    """A file that grows, is cut short, or is replaced by another (log rotation). Positions are offsets in bytes.

    Its id is ``file:DEVICE:INODE:N``; N counts how often it was cut short, so that no position comes twice.
    """

    def __init__(self, path: Path, cursor: Cursor | None, *, from_end: bool = False) -> None:
        self.num_lost = 0
        self._path = path
        self._open()
        size = os.fstat(self._descriptor).st_size
        self._backlog_end = size
        if cursor is not None and cursor[0].startswith(f"{self._inode}:"):
            self._num_cuts = int(cursor[0].rpartition(":")[2])
            self._offset = cursor[1]
            if self._offset > size:
                self._begin_again()
        elif from_end:
            self._offset = size

    @property
    def id(self) -> str:
        """``file:DEVICE:INODE:N``."""
        return f"{self._inode}:{self._num_cuts}"

    def read(self, most: int, wait_seconds: float) -> Batch:
        """Whole lines that were added; a last line without its end waits for it."""
        kind: Literal["backlog", "live"] = "backlog" if self._offset < self._backlog_end else "live"
        deadline = time.monotonic() + wait_seconds
        while not (lines := self._lines(most)):
            kind = "live"
            if self._begins_again():
                continue
            if time.monotonic() >= deadline:
                break
            time.sleep(_LOOK_SECONDS)
        return Batch(lines=lines, kind=kind)

    def close(self) -> None:
        """Give back the descriptor."""
        os.close(self._descriptor)

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        found = os.fstat(self._descriptor)
        self._inode = f"file:{found.st_dev}:{found.st_ino}"
        self._num_cuts = 0
        self._offset = 0

    def _lines(self, most: int) -> tuple[tuple[int, str], ...]:
        chunk = os.pread(self._descriptor, _CHUNK_BYTES, self._offset)
        *whole, rest = chunk.split(b"\n", most)
        if not whole and len(chunk) == _CHUNK_BYTES:
            whole = [rest]  # no kernel line is so long: take what there is, and go on
            self._offset -= 1
        lines = []
        for line in whole:
            self._offset += len(line) + 1
            lines.append((self._offset, line.decode(errors="replace")))
        return tuple(lines)

    def _begin_again(self) -> None:
        self._num_cuts += 1
        self._offset = 0

    def _begins_again(self) -> bool:
        """Whether there is something new to read from its start: the file was cut short, or another took its place."""
        here = os.fstat(self._descriptor)
        if here.st_size < self._offset:
            self._begin_again()
            self._backlog_end = 0
            return True
        try:
            there = self._path.stat()
        except FileNotFoundError:  # between the two steps of a rotation
            return False
        if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
            return False
        if os.fstat(self._descriptor).st_size == here.st_size:  # else lines came in between: they go first
            os.close(self._descriptor)
            self._open()
            self._backlog_end = 0
        return True
