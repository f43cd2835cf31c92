"""Every kind of fault a scenario may name: where it may sit, and which keys it needs and allows. A table; no logic."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

GPU, NIC, NODE, PATH, RANK, RUN = "gpu", "nic", "node", "path", "rank", "run"
"""The units that `on` may name. A path is between two nodes: ``node0003-node0007``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a fault of one kind may say."""

    units: tuple[str, ...]
    needs: tuple[str, ...] = ()
    allows: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    """At least one of these keys is needed; each is allowed."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of this kind, besides those that every fault has."""
        return self.needs + self.one_of + self.allows


_GPU = (NODE, GPU)
_NET = (NODE, NIC)
_LINK = (NODE, NIC, PATH)
_TRAINING = (NODE, RANK, RUN)

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        # hardware
        "slow": Kind(units=_GPU, needs=("factor",), allows=("what",)),
        "throttle": Kind(units=_GPU, allows=("factor", "celsius")),
        "power_brake": Kind(units=_GPU, allows=("factor",)),
        "hot": Kind(units=_GPU, needs=("celsius",), allows=("factor", "sensor")),
        "wrong_bits": Kind(units=(NODE, GPU, NIC), one_of=("bits", "nan"), allows=("every",)),
        "ecc": Kind(units=_GPU, one_of=("count", "per_second"), allows=("corrected", "recovery_action")),
        "row_remap": Kind(units=_GPU, allows=("count", "corrected", "pending", "failed", "recovery_action")),
        "xid": Kind(units=_GPU, needs=("code",), allows=("recovery_action",)),
        "lost": Kind(units=_GPU),
        "hang": Kind(units=_GPU),
        "nvlink_errors": Kind(units=_GPU, one_of=("count", "per_second")),
        "pcie_narrow": Kind(units=(NODE, GPU, NIC), one_of=("width", "generation")),
        # network
        "link_slow": Kind(units=_LINK, needs=("factor",)),
        "link_flap": Kind(units=_LINK, allows=("per_second", "count", "factor")),
        "link_down": Kind(units=_LINK),
        "partition": Kind(units=_NET),
        # node
        "unreachable": Kind(units=(NODE,)),
        "dies": Kind(units=(NODE,)),
        "version_skew": Kind(units=(NODE,), allows=("package", "version")),
        "intermittent": Kind(units=(NODE, GPU, NIC, PATH), allows=("per_second", "factor")),
        "disk_full": Kind(units=(NODE,)),
        "storage_slow": Kind(units=(NODE,), needs=("factor",)),
        "clock_jump": Kind(units=(NODE,), needs=("seconds",)),
        "host_memory": Kind(units=(NODE,), allows=("ratio",)),
        # training
        "nan_batch": Kind(units=_TRAINING),
        "bad_source": Kind(units=_TRAINING, allows=("source",)),
        "state_spike": Kind(units=_TRAINING, allows=("factor",)),
        "bit_flip_gradient": Kind(units=_TRAINING, allows=("bits",)),
        "bit_flip_weight": Kind(units=_TRAINING, allows=("bits",)),
        "torn_checkpoint": Kind(units=_TRAINING),
        "kill": Kind(units=_TRAINING),
        "stop_process": Kind(units=_TRAINING),
        "slow_rank": Kind(units=_TRAINING, needs=("factor",)),
        # daemon
        "daemon_kill": Kind(units=(NODE,)),
        "daemon_freeze": Kind(units=(NODE,)),
        "daemon_lies": Kind(units=(NODE,)),
    }
)
"""Kinds by name, in the order in which the format lists them."""

EVERY_FAULT = ("on", "kind", "at", "for", "step")
"""Keys that every fault may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What one key of a fault may hold."""

    type: type
    low: float | None = None
    high: float | None = None
    above: bool = False
    """`low` itself is outside."""
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.type is bool:
            return "true or false"
        if self.words:
            return " or ".join(repr(word) for word in self.words)
        if self.type is str:
            return "a text"
        number = "a whole number" if self.type is int else "a number"
        low = "" if self.low is None else f" {'above' if self.above else 'of at least'} {self.low:g}"
        return number + low + ("" if self.high is None else f" and at most {self.high:g}")


VALUES: Mapping[str, Range] = MappingProxyType(
    {
        "factor": Range(type=float, low=0, above=True),
        "code": Range(type=int, low=1, high=999),
        "count": Range(type=int, low=1),
        "per_second": Range(type=float, low=0, above=True),
        "celsius": Range(type=float, low=0, high=150),
        "bits": Range(type=int, low=1, high=64),
        "nan": Range(type=bool),
        "every": Range(type=int, low=1),
        "corrected": Range(type=bool),
        "pending": Range(type=bool),
        "failed": Range(type=bool),
        "recovery_action": Range(type=int, low=0, high=4),
        "width": Range(type=int, low=1, high=16),
        "generation": Range(type=int, low=1, high=6),
        "what": Range(type=str, words=("compute", "memory", "link")),
        "sensor": Range(type=str, words=("gpu", "memory")),
        "seconds": Range(type=float),
        "ratio": Range(type=float, low=0, high=1, above=True),
        "package": Range(type=str),
        "version": Range(type=str),
        "source": Range(type=str),
    }
)
"""What each key of a fault may hold."""
