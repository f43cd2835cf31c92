"""What is measured of a collective, and what came out: words for controller, worker and judge."""

from dataclasses import dataclass

OPERATIONS = (
    "all_reduce",
    "all_gather",
    "reduce_scatter",
    "alltoall",
    "broadcast",
    "reduce",
    "sendrecv",
    "gather",
    "scatter",
    "hypercube",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveCase:
    """One line of a sweep."""

    operation: str
    """A name of `OPERATIONS`."""
    size_bytes: int
    """As nccl-tests counts it: of the larger of send and receive buffer."""
    dtype: str = "float"
    """nccl-tests' name: ``float half bfloat16 int32``."""
    is_in_place: bool = False
    algorithm: str | None = None
    """Pinned by NCCL_ALGO: ``Ring Tree NVLS``; None: the library's choice."""
    warmup: int = 5
    iterations: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveRow:
    """One case, measured once over all its iterations."""

    case: CollectiveCase
    repeat: int
    num_ranks: int
    seconds: float
    """Of one iteration: the mean over `case.iterations`, the slowest rank's."""
    algbw_bytes_per_second: float
    busbw_bytes_per_second: float
    num_wrong: int
    """Elements that are not the exactly known result, over all ranks."""
    slowest_seconds: float
    """The longest single iteration."""
    wrong_ranks: tuple[int, ...] = ()
    """Ranks that held wrong elements."""
    transport: str = ""
    """What carried it, as the library said: ``gloo tcp``, ``NCCL NET/IB/GDRDMA``; empty: it did not say."""
