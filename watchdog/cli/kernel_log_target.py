"""A place where a rehearsed kernel line may go: what it is, whether real hardware stands behind it, and the writing."""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from watchdog.cli.asking import ask
from watchdog.vocabulary.errors import SourceFailed, UsageError

Kind = Literal["device", "fifo", "file"]
_KMSG = os.makedev(1, 11)
"""Device number of /dev/kmsg (Linux, Documentation/admin-guide/devices.txt)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """The daemon at a socket, as far as it says who it is."""

    is_simulated: bool
    kernel_log: Path | None


def kind_of(target: Path) -> Kind:
    """What is there; raises `UsageError` for what is no kernel log."""
    try:
        found = target.stat()
    except FileNotFoundError as error:
        raise UsageError(f"--to: {target} does not exist; make it: mkfifo {target}, or touch {target}") from error
    except OSError as error:
        raise UsageError(f"--to: {target}: {error.strerror}") from error
    if stat.S_ISFIFO(found.st_mode):
        return "fifo"
    if stat.S_ISREG(found.st_mode):
        return "file"
    if stat.S_ISCHR(found.st_mode) and found.st_rdev == _KMSG:
        return "device"
    raise UsageError(f"--to: {target} is no kernel log; give a FIFO, a file, /dev/kmsg, or - for stdout")


def reader_at(socket: Path) -> Reader | None:
    """The daemon that listens there; None where there is no socket. Raises `SourceFailed` where it does not answer."""
    try:
        socket.lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceFailed(f"{socket} can't be looked at: {error.strerror}") from error
    state = ask(socket, "GET", "/v1/state")
    facts = state["facts"].get(state["node"], {})
    log = facts.get("kernel_log")
    return Reader(is_simulated=facts.get("is_simulated") is True, kernel_log=Path(log) if log else None)


def danger(kind: Kind, target: Path, socket: Path) -> str:
    """Why real hardware may stand behind `target`; empty where it surely does not: only then it is a mere rehearsal.

    A file that nobody is known to read is harmless; a FIFO is read by somebody, and may be so by a real daemon.
    """
    if kind == "device":
        return f"{target} is this machine's own kernel log"
    try:
        reader = reader_at(socket)
    except SourceFailed as error:
        return f"whether the daemon is simulated is not known: {error}"
    if reader is None:
        return "" if kind == "file" else f"who reads {target} is not known: name that daemon's --socket, not {socket}"
    if not reader.is_simulated:
        return f"the daemon at {socket} watches real hardware"
    if kind == "file" or (reader.kernel_log is not None and _is_same(reader.kernel_log, target)):
        return ""
    return f"the simulated daemon at {socket} reads {reader.kernel_log}, so somebody else reads {target}"


def write_line(target: Path, line: str) -> None:
    """Append `line`, whole, in one write. Never waits for a reader; raises `SourceFailed`."""
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise SourceFailed(f"nobody reads the FIFO {target}; start: fryer watch --kmsg {target}") from error
        raise SourceFailed(_cannot(target, error)) from error
    try:
        os.write(descriptor, f"{line}\n".encode())
    except OSError as error:
        raise SourceFailed(_cannot(target, error)) from error
    finally:
        os.close(descriptor)


def _cannot(target: Path, error: OSError) -> str:
    more = "; run as root" if isinstance(error, PermissionError) else ""
    return f"{target} can't be written: {error.strerror}{more}"


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
