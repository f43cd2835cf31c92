"""The storage collector's child: touches one folder, and may hang in the kernel for ever. Run by its path, alone.

    python -I -S storage_probe.py FOLDER NODE   ──▶  one JSON line: fill, latencies, or what failed

Standard library only, and nothing of this project: it starts in some 15 ms. It writes one small file of its own,
flushed to the device, reads it back past the page cache, compares, and removes it.
"""

import json
import mmap
import os
import sys
import time

BLOCK_BYTES = 4096
"""One page: what O_DIRECT takes on any device."""


def main(folder: str, node: str) -> None:
    """Say what was found, in one line."""
    found: dict[str, object] = {}
    try:
        fill = os.statvfs(folder)
        if fill.f_blocks:  # else it has no size at all, as /proc
            found["total_bytes"] = fill.f_blocks * fill.f_frsize
            found["free_bytes"] = fill.f_bavail * fill.f_frsize
        if fill.f_files:  # btrfs, FUSE and some network file systems count no inodes
            found["total_inodes"], found["free_inodes"] = fill.f_files, fill.f_favail
        found |= probe(os.path.join(folder, f".fryer-probe.{node}"))  # noqa: PTH118 - pathlib costs 10 ms here
    except OSError as error:
        found |= {"error": error.strerror or str(error), "errno": error.errno}
    sys.stdout.write(json.dumps(found) + "\n")


def probe(path: str) -> dict[str, object]:
    """Seconds of create and remove, of write with flush, and of read; raises OSError. `path` is made anew."""
    if os.path.lexists(path):  # of a probe that was killed
        os.unlink(path)  # noqa: PTH108 - as above
    block = mmap.mmap(-1, BLOCK_BYTES)  # aligned to a page, as O_DIRECT wants it
    block.write(os.urandom(BLOCK_BYTES))
    begun = time.perf_counter()
    descriptor, is_direct = _create(path)
    created = time.perf_counter()
    try:
        os.pwrite(descriptor, block, 0)
        os.fsync(descriptor)
        written = time.perf_counter()
        if not is_direct:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        back = mmap.mmap(-1, BLOCK_BYTES)
        reading = time.perf_counter()
        count = os.preadv(descriptor, [back], 0)
        read = time.perf_counter()
        is_same = count == BLOCK_BYTES and back[:] == block[:]
    finally:
        os.close(descriptor)
        unlinking = time.perf_counter()
        os.unlink(path)  # noqa: PTH108 - as above
    removed = time.perf_counter()
    return {
        "metadata_latency_seconds": (created - begun) + (removed - unlinking),
        "write_latency_seconds": written - created,
        "read_latency_seconds": read - reading,
        "is_direct": is_direct,
        "is_same": is_same,
    }


def _create(path: str) -> tuple[int, bool]:
    """A new file, past the page cache where the file system can; never through a link that somebody laid there."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_DIRECT, 0o600), True
    except OSError as error:
        if error.errno != 22:  # EINVAL: this file system has no O_DIRECT
            raise
    if os.path.lexists(path):  # some create the file before they refuse the flag
        os.unlink(path)  # noqa: PTH108 - as above
    return os.open(path, flags, 0o600), False


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
