"""Turns a directory with all files of a checkpoint into a checkpoint: manifest, state, name, pointer, in this order.

Before the rename nobody finds it; after it, it is whole. Raises OSError; then earlier checkpoints are as they were.
"""

import ctypes
import errno
import os
from pathlib import Path
from secrets import token_hex

from trainer.checkpoints.durably import sync_directory, write_whole
from trainer.checkpoints.manifest import BadCheckpoint, Manifest, to_text
from trainer.checkpoints.names import DELETING, LATEST, MANIFEST, partial_name, step_name
from trainer.checkpoints.states import read_status, write_first

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""linux/fs.h: two names change places in one step."""


def seal(writing: Path, manifest: Manifest) -> tuple[Path, Path | None]:
    """The checkpoint's path, and the earlier one of the same step that it replaced, if any, to be removed."""
    name = step_name(manifest.header.step)
    path = writing.with_name(name)
    write_whole(writing / MANIFEST, to_text(manifest))
    write_first(writing, at=manifest.created_at)
    for directory in {(writing / file).parent for file in manifest.files}:
        sync_directory(directory)
    replaced = _rename(writing, path)
    sync_directory(path.parent)
    write_whole(path.parent / LATEST, name + "\n")
    return path, replaced


def _rename(writing: Path, path: Path) -> Path | None:
    if not path.exists():
        writing.rename(path)
        return None
    if _is_pinned(path):
        raise FileExistsError(errno.EEXIST, "an earlier one of this step is pinned", str(path))
    condemned = writing.with_name(partial_name(_step(path), DELETING, token_hex(4)))
    # from one system call to the next there is always a whole one under this name, where the file system can do that
    if _exchange(writing, path):
        writing.rename(condemned)
    else:
        path.rename(condemned)
        writing.rename(path)
    return condemned


def _is_pinned(path: Path) -> bool:
    try:
        return read_status(path).is_pinned
    except BadCheckpoint:
        return False


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step_"))


def _exchange(one: Path, other: Path) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    return bool(
        libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)) == 0
    )
