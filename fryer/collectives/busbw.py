"""How a collective is counted: elements, algorithm bandwidth and bus bandwidth, as nccl-tests counts them.

Pure. Sources: nccl-tests 2.19.6, doc/PERFORMANCE.md and ``*GetCollByteCount`` and ``*GetBw`` of src/<operation>.cu.
With n ranks and a size S in bytes: algbw = S / t, and busbw = algbw x a factor that makes it comparable with the rate
of the slowest link. 1 GB/s is 10^9 bytes per second.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fryer.collectives.cases import OPERATIONS, CollectiveCase
from watchdog.vocabulary.errors import UsageError, nearest

ELEMENT_BYTES: Mapping[str, int] = MappingProxyType({"float": 4, "half": 2, "bfloat16": 2, "int32": 4})
"""By nccl-tests' name of the format."""
SHARED_OUT = frozenset({"all_gather", "reduce_scatter", "alltoall", "gather", "scatter", "hypercube"})
"""Operations whose buffer is made of one part a rank; the others move the whole buffer of each rank."""
REDUCING = frozenset({"all_reduce", "reduce_scatter", "reduce"})
"""Operations that add up what ranks send."""
ROOTED = frozenset({"broadcast", "reduce", "gather", "scatter"})
"""Operations with a root. Ours is rank 0, as in nccl-tests by default."""
ONLY_OUT_OF_PLACE = frozenset({"alltoall", "sendrecv"})
"""Operations that would overwrite what they have still to send; nccl-tests does not check their result in place."""
_LINE_BYTES = 16
"""Parts are whole multiples of it: nccl-tests aligns them for vector loads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much of a buffer one case uses, in elements."""

    send: int
    """Of the send buffer of a rank (of the root for scatter)."""
    receive: int
    """Of the receive buffer of a rank (of the root for gather)."""
    count: int
    """nccl-tests' column ``count``: of the whole buffer, or of one part where it is shared out."""


def element_bytes(dtype: str) -> int:
    """Bytes of one element; raises `UsageError` for an unknown format."""
    if dtype not in ELEMENT_BYTES:
        raise UsageError(f"{dtype!r} is no format of collectives{nearest(dtype, ELEMENT_BYTES)}")
    return ELEMENT_BYTES[dtype]


def check_operation(operation: str) -> None:
    """Raise `UsageError` for an operation that is none of `OPERATIONS`."""
    if operation not in OPERATIONS:
        raise UsageError(f"{operation!r} is no collective{nearest(operation, OPERATIONS)}")


def extent(case: CollectiveCase, num_ranks: int) -> Extent:
    """Elements of `case` among `num_ranks` ranks; 0 where the size is too small for one aligned part a rank."""
    check_operation(case.operation)
    width = element_bytes(case.dtype)
    whole = case.size_bytes // width
    if case.operation not in SHARED_OUT:
        return Extent(send=whole, receive=whole, count=whole)
    step = _LINE_BYTES // width
    part = whole // num_ranks // step * step
    total = part * num_ranks
    return Extent(
        send=part if case.operation in {"all_gather", "gather", "hypercube"} else total,
        receive=part if case.operation in {"reduce_scatter", "scatter"} else total,
        count=part,
    )


def size_bytes(case: CollectiveCase, num_ranks: int) -> int:
    """nccl-tests' column ``size``: bytes of the larger of the two buffers, after alignment."""
    elements = extent(case, num_ranks)
    return max(elements.send, elements.receive) * element_bytes(case.dtype)


def algbw_factor(operation: str, num_ranks: int) -> float:
    """What part of the column ``size``, per second, is the algorithm bandwidth: 1, but for hypercube (n-1)/n."""
    check_operation(operation)
    return (num_ranks - 1) / num_ranks if operation == "hypercube" else 1.0


def busbw_factor(operation: str, num_ranks: int) -> float:
    """Bus bandwidth over algorithm bandwidth. 0 for the operations that move nothing with one rank."""
    check_operation(operation)
    if operation == "all_reduce":
        return 2 * (num_ranks - 1) / num_ranks
    if operation in SHARED_OUT and operation != "hypercube":
        return (num_ranks - 1) / num_ranks
    return 1.0


def bandwidths(operation: str, size: int, num_ranks: int, seconds: float) -> tuple[float, float]:
    """(algbw, busbw) in bytes per second of `size` bytes (column ``size``) in `seconds`, which are more than 0."""
    algbw = size * algbw_factor(operation, num_ranks) / seconds
    return algbw, algbw * busbw_factor(operation, num_ranks)
