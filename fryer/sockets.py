"""The processors of this machine by socket, from sysfs and procfs. It reads and decides nothing.

Sources: Linux, Documentation/admin-guide/cputopology.rst (`topology/physical_package_id`, `core_id`) and
Documentation/ABI/stable/sysfs-devices-node (`cpulist`, `meminfo`).
"""

import os
import platform
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TOTAL = re.compile(r"MemTotal:\s+(\d+) kB")


_WIDEST_FIRST = ("amx_fp16", "amx_bf16", "amx_int8", "avx512_fp16", "avx512_bf16", "avx512f", "avx2")
"""Flags of /proc/cpuinfo that `fryer.ceiling` knows the rate of."""


def read_isa(root: Path = Path("/")) -> str | None:
    """The widest arithmetic of the processors, as a flag of /proc/cpuinfo; None where it is none that we know."""
    try:
        text = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    flags = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    known = set(flags[1].split()) if flags else set()
    return next((word for word in _WIDEST_FIRST if word in known), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """One processor package, as far as this process may use it."""

    package: int
    """As the firmware numbers it."""
    processors: tuple[int, ...]
    """Logical ones that we may run on, ascending."""
    cores: int
    """Physical ones among them."""
    memory_bytes: int | None
    """Of its NUMA nodes; of the machine where there is only one socket."""


def read_sockets(allowed: Iterable[int] | None = None, root: Path = Path("/")) -> tuple[Socket, ...]:
    """The sockets that `allowed` processors belong to (those of this process by default), by package number.

    A machine that doesn't tell (some virtual ones say -1 or nothing) is one socket.
    """
    members: defaultdict[int, list[int]] = defaultdict(list)
    for processor in sorted(os.sched_getaffinity(0) if allowed is None else allowed):
        members[max(0, _topology(root, processor, "physical_package_id") or 0)].append(processor)
    nodes = _nodes(root)
    return tuple(
        Socket(
            package=package,
            processors=tuple(processors),
            cores=_num_cores(root, processors),
            memory_bytes=_memory(nodes, processors, root, is_only=len(members) == 1),
        )
        for package, processors in sorted(members.items())
    )


def read_cpu_part(root: Path = Path("/")) -> str:
    """Product name of the processors, as the kernel gives it: ``AMD EPYC 9654 96-Core Processor``."""
    words = dict(re.findall(r"^([\w ]+?)\s*:\s*(.+)$", _text(root / "proc/cpuinfo"), re.MULTILINE))
    if "model name" in words:
        return " ".join(words["model name"].split())
    if "CPU part" in words:  # ARM names no model: implementer and part are numbers (arm64/include/asm/cputype.h)
        return f"{platform.machine()} implementer {words.get('CPU implementer', '?')} part {words['CPU part']}"
    return f"{platform.machine()} processor"


def parse_cpulist(text: str) -> tuple[int, ...]:
    """``0-2,8`` -> 0 1 2 8 (Documentation/admin-guide/cputopology.rst); raises ValueError."""
    found: list[int] = []
    for piece in filter(None, text.strip().split(",")):
        first, _, last = piece.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def _num_cores(root: Path, processors: Iterable[int]) -> int:
    """Threads of one core share its id; a processor that has none counts as a core of its own."""
    ids = [
        (_topology(root, processor, "die_id"), _topology(root, processor, "core_id"), processor)
        for processor in processors
    ]
    return len({(die, core) if core is not None else processor for die, core, processor in ids})


def _topology(root: Path, processor: int, name: str) -> int | None:
    try:
        return int(_text(root / f"sys/devices/system/cpu/cpu{processor}/topology/{name}"))
    except ValueError:
        return None


def _nodes(root: Path) -> list[tuple[frozenset[int], int]]:
    """Processors and bytes of each NUMA node."""
    nodes = []
    for folder in sorted((root / "sys/devices/system/node").glob("node[0-9]*")):
        total = _TOTAL.search(_text(folder / "meminfo"))
        if total:
            nodes.append((frozenset(parse_cpulist(_text(folder / "cpulist"))), int(total[1]) * 1024))
    return nodes


def _memory(nodes: list[tuple[frozenset[int], int]], processors: list[int], root: Path, *, is_only: bool) -> int | None:
    total = _TOTAL.search(_text(root / "proc/meminfo"))
    if is_only:
        return int(total[1]) * 1024 if total else None
    return sum(size for members, size in nodes if members.intersection(processors)) or None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
