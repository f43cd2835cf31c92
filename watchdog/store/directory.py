"""Where the database is kept, and on what kind of file system."""

import os
from pathlib import Path

from watchdog.vocabulary.errors import UsageError

SYSTEM_DIRECTORY = Path("/var/lib/fryer")
"""Root's: the Filesystem Hierarchy Standard's place for state that outlives a reboot."""
VARIABLE = "FRYER_STATE_DIRECTORY"

NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "glusterfs",
        "9p",
        "afs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.juicefs",
        "wekafs",
        "orangefs",
        "ocfs2",
        "gfs2",
        "virtiofs",
    }
)
"""File systems that other machines may write to at the same time. SQLite's WAL is shared memory, so it is not for
these: "all processes using a database must be on the same host computer" (https://sqlite.org/wal.html)."""

LOG_BYTES = 64 * 1024
"""With less than this free, SQLite can't make the files of its log, and its "unable to open" and "disk I/O error" are
about that: the one in shared memory alone is 32 KiB (https://sqlite.org/walformat.html)."""


def default_directory() -> Path:
    """``$FRYER_STATE_DIRECTORY``; else root's is `SYSTEM_DIRECTORY`, a user's ``$XDG_STATE_HOME/fryer``.

    A user never writes to root's by accident of its mode: a history that depends on who last ran what is none.
    `XDG_STATE_HOME` counts when it is absolute, as its specification says, and is ``~/.local/state`` otherwise.
    Raises `UsageError` for a user without a home.
    """
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    if os.geteuid() == 0:
        return SYSTEM_DIRECTORY
    state_home = os.environ.get("XDG_STATE_HOME", "")
    if Path(state_home).is_absolute():
        return Path(state_home) / "fryer"
    try:
        return Path.home() / ".local" / "state" / "fryer"
    except RuntimeError as error:
        raise UsageError(
            f"this user has no home directory to keep results in; give one with --state DIR or {VARIABLE}"
        ) from error


def is_on_network(path: Path) -> bool:
    """Whether other machines may write to the file system of `path` at the same time; False where nobody can tell."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return False
    return file_system_of(path.resolve(), mounts) in NETWORK_FILE_SYSTEMS


def file_system_of(path: Path, mounts: str) -> str:
    """Type of the file system that holds `path`, from the text of ``/proc/self/mountinfo``; empty when none does.

    Fields are described in proc(5): the fifth is the mount point, and the first after `` - `` the type. Of several
    mounts over one point the last is on top.
    """
    best, found = -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split(" ")[4].replace("\\040", " "))
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), after.split(" ")[0]
    return found


def free_bytes(path: Path) -> int:
    """Bytes that a user may still write beside `path`; `LOG_BYTES` where nobody can tell, so that it isn't blamed."""
    try:
        status = os.statvfs(path.parent)
    except OSError:
        return LOG_BYTES
    return status.f_bavail * status.f_frsize
