"""How much the processors' last-level caches hold, from sysfs. A buffer must be larger to measure memory."""

import os
import re
from pathlib import Path

_SIZE = re.compile(r"(\d+)([KMG]?)")
_FACTOR = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

UNKNOWN_BYTES = 64 << 20
"""Assumed where the kernel tells nothing: the last-level cache of a large desktop processor."""


def last_level_cache_bytes(root: Path = Path("/sys")) -> int:
    """Sum of the last-level caches that the processors of this process have, each counted once.

    Source: Linux, Documentation/ABI/testing/sysfs-devices-system-cpu (`cache/index*/{level,size,shared_cpu_list}`).
    """
    found: dict[tuple[int, str], int] = {}
    for processor in os.sched_getaffinity(0):
        for index in (root / f"devices/system/cpu/cpu{processor}/cache").glob("index*"):
            try:
                level = int((index / "level").read_text())
                size = _SIZE.match((index / "size").read_text())
                shared = (index / "shared_cpu_list").read_text().strip()
            except (OSError, ValueError):
                continue
            if size:
                found[level, shared] = int(size[1]) * _FACTOR[size[2]]
    last = max((level for level, _ in found), default=0)
    return sum(size for (level, _), size in found.items() if level == last) or UNKNOWN_BYTES
