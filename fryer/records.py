"""What a burn says while it runs. Workers send these to the runner one by one, so a stopped burn loses nothing."""

from dataclasses import dataclass

from watchdog.vocabulary.verdicts import Verdict

FLOPS = "flops_per_second"
BYTES = "bytes_per_second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measured rate: the work completed in one interval (about a second), over its length."""

    device: str
    """``gpu0`` or ``cpu0``."""
    burn: str
    """Name of the burn in `BURNS`."""
    case: str
    """What was measured in the burn: ``bf16 8192x8192x8192``, ``h2d``, ``copy``, ``to gpu3``."""
    metric: str
    """`FLOPS` or `BYTES`."""
    at_seconds: float
    """End of the interval on the run's clock."""
    value: float
    busy_ratio: float = 1.0
    """Share of the interval that `value` is over: the work itself. The rest went into verifying it. So `value` compares
    with figures of others, who don't verify, and `value` times `busy_ratio` is the rate with verification."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductDigest:
    """Digest of one product C = A·B. Equal seeds must give equal digests on every device of a part."""

    device: str
    case: str
    round: int
    pair: int
    """Index of the operand pair in the round's pool."""
    seed: int
    digest: str
    """16 hex digits: the sum modulo 2^64 of the raw bits of C, read as 64-bit words."""
    is_verified: bool = True
    """The device found it twice. One that is not says what a device computed, and has no vote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A wrong result, with what is needed to show it again."""

    device: str
    burn: str
    case: str
    seed: int
    round: int
    pair: int
    at_seconds: float
    index: int | None
    """Flat index of the first wrong element; None when the wrong result was no longer held."""
    num_wrong: int | None
    """Number of wrong elements; None when unknown."""
    expected: str
    """Bits that were expected at `index` (hex), or the expected digest."""
    read: str
    """Bits that were read there."""
    is_nan: bool
    reproduced: bool
    """The same product came out wrong again when it was repeated."""
    how: str
    """How it was found: ``twin`` (same product again), ``vote`` (other devices), ``fp64`` (spot check), ``pattern``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A burn, or a case of it, that did not give a figure: why, and what that makes of the verdict."""

    device: str
    burn: str
    case: str
    verdict: Verdict
    """ERROR, SKIPPED or INCONCLUSIVE; FAIL when the problem is itself the finding (device lost)."""
    code: str
    """A word for scripts: ``unsupported``, ``deadline``, ``crashed``, ``too_little_memory``, ``device_lost``."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Work that was verified: how many products or bytes, so that "no mismatch" says out of how many."""

    device: str
    burn: str
    case: str
    what: str
    """``products`` or ``bytes``."""
    count: int


Record = Point | ProductDigest | Mismatch | Problem | Counted
