"""Deletes checkpoints so that a crash in between leaves none that looks whole: rename first, then remove."""

import shutil
import threading
from pathlib import Path
from secrets import token_hex

from trainer.checkpoints.durably import sync_directory
from trainer.checkpoints.names import DELETING, partial_name, partial_of, step_of


def remove(path: Path) -> Path | None:
    """Take a checkpoint's name away: from then on nobody finds it. What is left to remove, or None where it is gone.

    Raises OSError where the directory doesn't let go; then nothing changed.
    """
    step = step_of(path.name)
    assert step is not None, f"{path} has no name of a checkpoint"
    condemned = path.with_name(partial_name(step, DELETING, token_hex(4)))
    try:
        path.rename(condemned)
    except FileNotFoundError:
        return None
    sync_directory(path.parent)
    return condemned


def leftovers(directory: Path) -> list[Path]:
    """Half-written and half-deleted ones. Only a run that has the directory for itself may remove them."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if partial_of(path.name) is not None)


class Remover:
    """Removes directories in the background: thousands of files take a parallel file system seconds."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []

    def start(self, path: Path) -> None:
        """Remove all of `path`. What can't be removed stays for the next start's sweep."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=shutil.rmtree, args=(path,), kwargs={"ignore_errors": True}, daemon=True)
        thread.start()
        self._threads.append(thread)

    def wait(self) -> None:
        """Until all is gone."""
        for thread in self._threads:
            thread.join()
