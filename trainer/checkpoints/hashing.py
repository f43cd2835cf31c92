"""SHA-256 of files: while they are written, so that it is of what was meant, and when they are read back."""

import hashlib
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from trainer.checkpoints.manifest import BadCheckpoint, FileEntry, Manifest

BLOCK_BYTES = 1 << 22
"""Read at once: large enough that Python's share of the time doesn't show."""


class HashingStream(io.BufferedIOBase):
    """A file that is written from start to end, and its hash. It doesn't seek."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self._num_bytes = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        """All of `data`; the number of bytes."""
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self._stream.write(view)
        self._num_bytes += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """Bytes written so far."""
        return self._num_bytes

    def flush(self) -> None:
        """Hand all to the system."""
        if not self._stream.closed:
            self._stream.flush()

    def entry(self) -> FileEntry:
        """What a manifest says of it."""
        return FileEntry(num_bytes=self._num_bytes, sha256=self._digest.hexdigest())


def entry_of(file: Path, *, is_from_disk: bool = False) -> FileEntry:
    """Read a file. `is_from_disk`: drop it from the page cache first, where the system lets that happen, so that what
    is read is what the disk holds. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with file.open("rb", buffering=0) as stream:
        if is_from_disk:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return FileEntry(num_bytes=size, sha256=digest.hexdigest())


def check_files(directory: Path, manifest: Manifest, names: Iterable[str], *, is_from_disk: bool = False) -> None:
    """Read `names` back. Raises `BadCheckpoint` for the first one that is not as it was written."""
    for name in names:
        meant = manifest.files[name]
        try:
            found = entry_of(directory / name, is_from_disk=is_from_disk)
        except OSError as error:
            raise BadCheckpoint(f"{name} can't be read ({error.strerror})") from error
        if found.num_bytes != meant.num_bytes:
            raise BadCheckpoint(f"{name} has {found.num_bytes} bytes and had {meant.num_bytes} when it was written")
        if found.sha256 != meant.sha256:
            raise BadCheckpoint(f"{name} has another SHA-256 than when it was written: bits changed on the disk")
