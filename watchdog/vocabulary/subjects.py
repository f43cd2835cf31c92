"""Who a reading, an event or a finding is about."""

from dataclasses import dataclass
from typing import Literal, Self

Kind = Literal["node", "gpu", "nic", "switch", "disk", "process", "rank", "run"]


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """A part of a node, or the node itself. Written ``node001``, ``node001/gpu:GPU-5f3a...``, ``node001/rank:3``."""

    node: str
    kind: Kind = "node"
    name: str = ""
    """UUID of a GPU, device of a NIC (``mlx5_0``), mount or device of a disk, number of a rank; empty for a node."""

    def __str__(self) -> str:
        return self.node if self.kind == "node" else f"{self.node}/{self.kind}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read back what `str` wrote; raises ValueError for an unknown kind."""
        node, _, unit = text.partition("/")
        if not unit:
            return cls(node)
        kind, _, name = unit.partition(":")
        if kind not in ("gpu", "nic", "switch", "disk", "process", "rank", "run"):
            raise ValueError(f"{text!r} is no subject: {kind!r} is none of gpu, nic, switch, disk, process, rank, run")
        return cls(node, kind, name)  # type: ignore[arg-type]
