"""Files and directories that are whole or not there, and one maker at a time."""

import fcntl
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HEAD_START_SECONDS = 20.0
"""For the rank that is to make something, before another does it in its place."""
_POLL_SECONDS = 0.05


def sync_file(path: Path) -> None:
    """Wait until a file's content, or a directory's names, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, content: bytes) -> None:
    """Replace `path`: readers see the old content or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}{_mine()}")
    beside.write_bytes(content)
    sync_file(beside)
    beside.replace(path)
    sync_file(path.parent)


@contextmanager
def making_directory(target: Path) -> Iterator[Path]:
    """A directory to fill, which becomes `target` at the end, whole; nothing is left of it after an exception.

    Where another maker was faster, theirs stays.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear_left_overs(target)
    beside = target.with_name(f"{target.name}{_mine()}")
    beside.mkdir()
    try:
        yield beside
        sync_file(beside)
        try:
            beside.rename(target)
        except OSError:
            if not target.is_dir():
                raise
        sync_file(target.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def one_maker(directory: Path, is_made: Callable[[], bool], *, is_first: bool) -> Iterator[None]:
    """Hold the directory's lock, so that of all processes on all nodes that share it one makes what is missing.

    Whoever isn't to be first waits until it `is_made`, or for a head start and then makes it in the other's place.
    Blocks while another holds the lock; it ends with its holder.
    """
    directory.mkdir(parents=True, exist_ok=True)
    give_up = time.monotonic() + HEAD_START_SECONDS
    while not is_first and not is_made() and time.monotonic() < give_up:
        time.sleep(_POLL_SECONDS)
    with (directory / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _mine() -> str:
    return f".making-{socket.gethostname()}-{os.getpid()}"


def _clear_left_overs(target: Path) -> None:
    """Of makers on this host that are no more."""
    start = f"{target.name}.making-{socket.gethostname()}-"
    for path in target.parent.glob(f"{start}*"):
        process = path.name.removeprefix(start)
        if process.isdigit() and not Path(f"/proc/{process}").exists():
            shutil.rmtree(path, ignore_errors=True)
