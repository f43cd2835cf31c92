"""What a run over many nodes measures between them, and how long each order may take."""

from dataclasses import dataclass, field

from fryer.collectives.cases import CollectiveCase
from fryer.localise import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlan:
    """What is measured between nodes."""

    gpu_case: CollectiveCase = field(
        default_factory=lambda: CollectiveCase(
            operation="all_reduce", size_bytes=1 << 30, algorithm="Ring", warmup=5, iterations=20
        )
    )
    """Ring, pinned: NVLS and trees hide a slow NIC (burnin.md's word for it: record the algorithm, or fix it)."""
    cpu_case: CollectiveCase = field(
        default_factory=lambda: CollectiveCase(operation="all_reduce", size_bytes=8 << 20, warmup=2, iterations=8)
    )
    join_seconds: float = 60.0
    order_seconds: float = 180.0
    settings: Settings = field(default_factory=Settings)
