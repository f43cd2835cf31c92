"""What a controller tells its workers, and what they say: frozen, and JSON through `fryer.exchange`.

Every order goes to all workers alike, and each picks its own part: so one stream serves SSH and Slurm, whatever their
number. Every message names its node.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fryer.collectives.cases import CollectiveCase, CollectiveRow
from fryer.evidence import NodeEvidence
from fryer.plan import Plan

PROTOCOL = 1
"""Version of these words. A worker of another version is an ERROR, never a guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Qualify:
    """Run the plan's burns on your own node, for yourself."""

    id: str
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Measure collectives in disjoint groups of nodes, all groups at the same time."""

    id: str
    groups: tuple[tuple[str, ...], ...]
    """Nodes by name; the first of a group is its rendezvous. A worker in no group does nothing and says nothing."""
    cases: tuple[CollectiveCase, ...]
    repeats: int
    """How often each case is measured, for the spread."""
    ranks_per_node: int
    """0: one a GPU (one a node without GPUs); 1: one GPU a node, that of `rail`."""
    rail: int | None
    """Index of the GPU, and so of the NIC beside it, that measures alone; None: all together."""
    addresses: Mapping[str, str]
    """By node: where its group reaches it."""
    port: int
    """Free on all nodes; a group uses ``port + its index``."""
    join_seconds: float
    """For the slowest member to come."""
    seconds: float
    """Deadline of the whole order, in real time from its arrival."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End now, keep nothing back."""

    reason: str


Order = Qualify | Collect | Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Interconnect:
    """The links of one node that collectives run over. None: not known, so nothing is expected of it."""

    nvlink_bytes_per_second: float | None = None
    """Of one GPU, one way, by the product's data sheet."""
    has_switch: bool | None = None
    """NVSwitch: every pair of GPUs at the full rate."""
    has_nvls: bool | None = None
    """The NVSwitch sums: GPUs support multicast objects."""
    num_nics: int | None = None
    """That carry collectives."""
    nic_bytes_per_second: float | None = None
    """Of one of them, one way, as its port says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """A worker is up: who it is. Its versions must be the controller's."""

    node: str
    protocol: int
    versions: Mapping[str, str]
    """``fryer torch python kernel driver cuda``."""
    addresses: tuple[str, ...]
    """Of this node, the one that the fleet reaches it by first."""
    num_gpus: int
    interconnect: Interconnect = field(default_factory=Interconnect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A sign of life within an order, at least each 5 s."""

    node: str
    order: str
    what: str
    """``gemm``, ``all_reduce 64 MiB``."""
    seconds: float
    """Since the order came."""
    problems: tuple[str, ...] = ()
    """Clear failures so far, one sentence each: ground for an early stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Qualified:
    """The end of a `Qualify`."""

    node: str
    order: str
    evidence: NodeEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The end of a `Collect` on one node. Rank 0 of a group sends the rows; the others send none."""

    node: str
    order: str
    rows: tuple[CollectiveRow, ...] = ()
    problem: str = ""
    """Why there are no or too few rows; one sentence."""
    missing: tuple[str, ...] = ()
    """Members that did not come, as far as this one knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The worker is gone, or never came: said by the launcher, not by the worker."""

    node: str
    code: str
    """``unreachable``, ``not_installed``, ``version_skew``, ``died``, ``deadline``, ``garbled``, ``done``."""
    message: str
    """One sentence: what happened and what to do."""
    stderr: str = ""
    """The last lines that the node itself printed."""
    exit_code: int | None = None
    remedy: str = ""
    """What to do, where the launcher knows better than the code says."""


Message = Hello | Progress | Qualified | Collected | Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How long a controller waits for nodes."""

    connect_seconds: float = 15.0
    hello_seconds: float = 120.0
    """From the connection to the worker's Hello: torch is imported from a cold network file system."""
    silence_seconds: float = 60.0
    """Between two signs of life within an order."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Set for the workers: ``GLOO_SOCKET_IFNAME``."""
