"""Writing that survives a crash: a file is whole under its name, or not there. Raises OSError as the system does."""

import os
from pathlib import Path
from secrets import token_hex


def write_whole(file: Path, text: str) -> None:
    """Replace `file` by `text`: temporary file beside it, fsync, rename, fsync of the directory."""
    temporary = file.with_name(f".{file.name}.{token_hex(4)}")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(file.parent)


def sync_directory(directory: Path) -> None:
    """Put the names in `directory` on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(file: Path) -> None:
    """Put what `file` holds on the disk."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
