"""What kind of fault a code tells of, and what kind brings about what. Data: merging and policy read it.

Codes are those of findings (``xid_79``, ``row_remap_pending``) and of events (`event_code`). NVIDIA's own classes are
in the Xid catalogue; here codes are grouped by what they do to the rest of a node. The groups are our own choice,
after the cascades in public logs: AER, then 79, then SXid 20034 on the switches, then 45 on the peers.
"""

from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType


class Family(IntEnum):
    """Kinds of faults, causes first: of faults that belong together, the lowest is the root."""

    GONE = 0
    """A GPU that left the bus: 79, lost, missing."""
    MEMORY = 1
    """A GPU's own memory: ECC, row remapping."""
    DRIVER = 2
    """A GPU's engines, firmware (GSP) and driver."""
    LINK = 3
    """NVLink and NVSwitch: Xid 74, 144 to 150, every SXid."""
    BUS = 4
    """PCIe: AER, replays, width. An AER of the port comes before the 79, yet the GPU is the root."""
    NIC = 5
    """InfiniBand and Ethernet."""
    KILL = 6
    """The kernel ended a process: out of memory."""
    SILENCE = 7
    """NVML does not answer, or nobody reads the GPUs."""
    VERDICT = 8
    """The driver's recovery action: Xid 154, field 230. It tells of another fault, and decides its repair."""
    HOST = 9
    """CPU, memory, disks, clock of the node."""
    SYMPTOM = 10
    """Heat, clocks, power, drift, a busy GPU that does nothing, and codes that nothing is known of."""
    APPLICATION = 11
    """The program's own errors, or its death by another fault: Xid 13, 31, 43, 45. Never hardware by themselves."""
    TRAINING = 12
    """A run's loss, gradient and steps."""
    UNKNOWN = 13
    """Nobody knows: a source is silent."""


_GONE = (54, 79, 167)
_MEMORY = (48, 63, 64, 92, 94, 95, 140, 156, 157, 168, 171, 172)
_DRIVER = (37, 38, 39, 40, 41, 44, 46, 57, 58, 61, 62, 66, 67, *range(70, 73), *range(75, 78), 78, 85, 109, 110)
_DRIVER_NEWER = (119, 120, 122, 123, 124, 125, 141, 143, 151, 158, 169)
_LINK = (74, 121, 136, *range(144, 151), 155, 159, 166, 170, 173)
_APPLICATION = (8, 11, 13, 25, 31, 32, 43, 45, 69, 80, 137, 174)
_XIDS: Mapping[int, Family] = MappingProxyType(
    {
        **dict.fromkeys(_GONE, Family.GONE),
        **dict.fromkeys(_MEMORY, Family.MEMORY),
        **dict.fromkeys((*_DRIVER, *_DRIVER_NEWER), Family.DRIVER),
        **dict.fromkeys(_LINK, Family.LINK),
        **dict.fromkeys(_APPLICATION, Family.APPLICATION),
        154: Family.VERDICT,
    }
)
_WORDS: tuple[tuple[str, Family], ...] = (
    ("unknown", Family.UNKNOWN),
    ("gpu_lost", Family.GONE),
    ("gpu_missing", Family.GONE),
    ("gpus_missing", Family.GONE),
    ("gpus_not_read", Family.SILENCE),
    ("nvrm_fallen", Family.GONE),
    ("nvrm", Family.DRIVER),
    ("ecc", Family.MEMORY),
    ("row_remap", Family.MEMORY),
    ("remap", Family.MEMORY),
    ("nvlink", Family.LINK),
    ("sxid", Family.LINK),
    ("fabric", Family.LINK),
    ("aer", Family.BUS),
    ("pcie", Family.BUS),
    ("nvml", Family.SILENCE),
    ("recovery", Family.VERDICT),
    ("infiniband", Family.NIC),
    ("ib_", Family.NIC),
    ("mlx5", Family.NIC),
    ("nic", Family.NIC),
    ("link_", Family.NIC),
    ("netdev", Family.NIC),
    ("nccl_segfault", Family.APPLICATION),
    ("segfault", Family.APPLICATION),
    ("peermem", Family.APPLICATION),
    ("oom", Family.KILL),
    ("clock_offset", Family.HOST),
    ("clock_skew", Family.HOST),
    *((word, Family.HOST) for word in ("disk", "storage", "nvme", "filesystem", "io_error", "host", "memory", "mce")),
    *((word, Family.HOST) for word in ("edac", "hung_task", "lockup", "soft_lockup", "hard_lockup", "kernel_panic")),
    *((word, Family.HOST) for word in ("fs_", "ghes", "file_max", "nfs", "raid", "panic", "processes", "swap", "cpu")),
    *((word, Family.TRAINING) for word in ("loss", "grad", "step", "rank", "run_", "training", "nan")),
)
"""First prefix that fits."""

_BRINGS_ABOUT: Mapping[Family, frozenset[Family]] = MappingProxyType(
    {
        Family.GONE: frozenset(
            {Family.GONE, Family.DRIVER, Family.LINK, Family.BUS, Family.SILENCE, Family.VERDICT}
            | {Family.APPLICATION, Family.TRAINING}
        ),
        Family.MEMORY: frozenset({Family.LINK, Family.VERDICT, Family.APPLICATION, Family.TRAINING}),
        Family.DRIVER: frozenset(
            {Family.DRIVER, Family.LINK, Family.SILENCE, Family.VERDICT, Family.APPLICATION, Family.TRAINING}
        ),
        Family.LINK: frozenset({Family.LINK, Family.VERDICT, Family.APPLICATION, Family.TRAINING}),
        Family.NIC: frozenset({Family.APPLICATION, Family.TRAINING}),
        Family.KILL: frozenset({Family.APPLICATION, Family.TRAINING}),
        Family.SILENCE: frozenset({Family.SILENCE}),
        Family.APPLICATION: frozenset({Family.APPLICATION, Family.TRAINING}),
        Family.TRAINING: frozenset({Family.TRAINING}),
    }
)
_HARMLESS_TO_PROGRAMS = frozenset({Family.BUS, Family.SILENCE, Family.HOST, Family.SYMPTOM})
"""No program dies of these alone, so that an application error on the same GPU is a fault of its own."""
_PARTS = frozenset({"gpu", "nic", "switch", "disk"})
"""Subjects that are one piece of hardware, whose troubles at the same time are one fault."""


@lru_cache(maxsize=4096)
def family_of(code: str) -> Family:
    """The family of a finding's or an event's code; what nothing is known of is a `SYMPTOM`."""
    word, _, number = code.partition("_")
    if word == "xid" and number.isdecimal():
        return _XIDS.get(int(number), Family.SYMPTOM)
    return next((family for prefix, family in _WORDS if code.startswith(prefix)), Family.SYMPTOM)


def event_code(kind: str, code: int | None) -> str:
    """The code of an event, as findings write it: ``xid_79``; without a number the kind itself."""
    return kind if code is None else f"{kind}_{code}"


def brings_about(cause: Family, effect: Family) -> bool:
    """Whether a fault of one family on one part of a node brings about one of the other on another part of it."""
    return effect in _BRINGS_ABOUT.get(cause, frozenset())


def is_one_fault_on(kind: str, cause: Family, effect: Family) -> bool:
    """Whether faults of the two families on the very same subject of this kind are one fault."""
    if kind not in _PARTS or Family.UNKNOWN in (cause, effect):
        return False
    return not (effect is Family.APPLICATION and cause in _HARMLESS_TO_PROGRAMS)
