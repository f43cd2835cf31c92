"""What the processes of one node tell each other while a collective is measured. Small and picklable; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from fryer.collectives.cases import CollectiveCase, CollectiveRow
from fryer.collectives.roll import Patience


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """Where and with whom a node meets its group."""

    key: str
    """Before all names in the store, so that an order finds nothing of another one."""
    nodes: tuple[str, ...]
    me: int
    """Place of this node in `nodes`; 0 serves the store."""
    host: str
    port: int
    join_seconds: float
    deadline: float
    """`time.monotonic` of this machine: what is known by then is told."""
    seconds: float
    """That the order was given, for people."""
    ranks_per_node: int
    patience: Patience


@dataclass(frozen=True, slots=True, kw_only=True)
class RankTask:
    """What one rank is to do."""

    meeting: Meeting
    backend: str
    """``nccl`` or ``gloo``."""
    part: int
    """Cases with different pinned algorithms are measured by processes of their own, one part after the other."""
    is_last_part: bool
    rank: int
    num_ranks: int
    local: int
    """Place among the ranks of its node."""
    gpu: int | None
    """Index in PCI order; None on a processor."""
    num_threads: int
    cases: tuple[CollectiveCase, ...]
    repeats: int
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Joined:
    """All members of the group are there: ranks of each node, in their order, and what they speak."""

    counts: tuple[int, ...]
    backend: str


@dataclass(frozen=True, slots=True)
class Watching:
    """The warden reaches the store; its silence says that it does not."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The measurement can't go on."""

    problem: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Over:
    """Every rank of the group is done."""


@dataclass(frozen=True, slots=True)
class Stepped:
    """A rank has come to a step."""

    what: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One row, from rank 0."""

    row: CollectiveRow


@dataclass(frozen=True, slots=True)
class Ended:
    """A rank's last word: done, or why not."""

    state: str
    """``done``, ``broke`` or ``alone`` of `fryer.collectives.roll`."""
    what: str


@dataclass(frozen=True, slots=True)
class Died:
    """To the warden: the process of a rank of this node ended without a last word."""

    local: int
    what: str
