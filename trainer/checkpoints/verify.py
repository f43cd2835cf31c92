"""Reads checkpoints back in the background and compares every hash, at low priority and past the page cache."""

import contextlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from trainer.checkpoints.hashing import check_files
from trainer.checkpoints.manifest import BadCheckpoint, read_manifest

NICENESS = 10
"""Of the reading thread; Linux gives each thread its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """What reading one checkpoint found."""

    path: Path
    inode: int
    """Of the directory that was read: another one may have taken its name since. 0: there was none."""
    problem: str = ""
    """Why it can't be used; empty: every hash agrees."""


def read_back(path: Path, *, is_from_disk: bool = True) -> ReadBack:
    """Read all files of a checkpoint; blocks."""
    inode, problem = inode_of(path), ""
    try:
        manifest = read_manifest(path)
        check_files(path, manifest, sorted(manifest.files), is_from_disk=is_from_disk)
    except BadCheckpoint as error:
        problem = str(error)
    return ReadBack(path=path, inode=inode, problem=problem)


def inode_of(path: Path) -> int:
    """Which directory has the name now; 0: none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


class Verifier:
    """One thread that reads what it is given, one checkpoint after another. It changes no state: its owner does."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Path | None] = SimpleQueue()
        self._found: SimpleQueue[ReadBack] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._open = 0

    @property
    def is_busy(self) -> bool:
        """Whether something was given that `poll` hasn't told yet."""
        return self._open > 0

    def start(self, path: Path) -> None:
        """Read `path` when it is its turn."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="fryer-verify", daemon=True)
            self._thread.start()
        self._open += 1
        self._waiting.put(path)

    def poll(self) -> list[ReadBack]:
        """What was found since the last call; doesn't block."""
        found = []
        with contextlib.suppress(Empty):
            while True:
                found.append(self._found.get_nowait())
                self._open -= 1
        return found

    def wait(self) -> list[ReadBack]:
        """Until all that was given is read."""
        found = []
        while self._open:
            found.append(self._found.get())
            self._open -= 1
        return found

    def _work(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while (path := self._waiting.get()) is not None:
            self._found.put(read_back(path))
