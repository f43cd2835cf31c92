"""What bus bandwidth a platform should reach at large sizes, derived from its links; with the source of each figure.

Pure. Derived, because fixed numbers fail healthy machines of another make: an all_reduce over two nodes depends on the
number and rate of NICs, on NVLS, and on the algorithm that is pinned. Where nobody has published a figure there is no
expectation: None beats a guess. All figures hold from 1 GiB up (`PLATEAU_BYTES`).
"""

from dataclasses import dataclass

from fryer.collectives.busbw import check_operation

PLATEAU_BYTES = 1 << 30
"""From here on bandwidth no longer rises with the size: burnin of 8 H100 in nccl-tests issue 290, 466 of 480 GB/s."""
_GIGA = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """The links of the nodes that measure together."""

    num_nodes: int
    ranks_per_node: int
    """GPUs of a node that take part: 1 where a rail measures alone."""
    nvlink_bytes_per_second: float | None
    """Of one GPU, one way: 450e9 of an H100 SXM, 300e9 of an A100 SXM; None without NVLink."""
    has_switch: bool = False
    """NVSwitch: every pair of GPUs at the full rate."""
    has_nvls: bool | None = None
    """In-network sums of the NVSwitch (third generation: Hopper and later) are used; None: not known."""
    num_nics: int = 0
    """Of a node that carry this: 1 where a rail measures alone."""
    nic_bytes_per_second: float | None = None
    """Of one NIC, one way: 50e9 of a 400 Gb/s port; None: not known."""
    algorithm: str | None = None
    """Pinned: ``Ring``; None: the library's choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Bus bandwidth in bytes per second."""

    typical: float
    """Of a healthy platform; the lower end where a range is published."""
    warn: float
    fail: float
    ceiling: float
    """More than the links carry: such a measurement is wrong."""
    source: str


_HOPPER_NVLINK = 450e9
"""That the published figures below were measured on: NVLink 4, one way."""
_NVLS = (480e9, 465e9, 440e9, 500e9)
_NO_NVLS = (367e9, 355e9, 335e9, 450e9)
_ONE_NODE = "8 H100 or H200 in one node: 476 to 482 GB/s with NVLS, 367 without (NVIDIA in nccl-tests issue 290; "
_BY_NUM_GPUS = {4: 363.0, 5: 414.0, 6: 436.0, 7: 460.0, 8: 480.0}
"""GB/s of all_reduce over N GPUs of an H200 (ml-engineering); NVLS is used from 5 GPUs up."""
_OTHERS_IN_NODE = {"all_gather": 361.0, "reduce_scatter": 363.0, "alltoall": 340.0}
"""GB/s of 8 GPUs with 450 GB/s of NVLink each: ml-engineering (H200), Smol Training Playbook (alltoall, H100)."""
_WARN_OF_TYPICAL, _FAIL_OF_TYPICAL = 0.96, 0.88
"""Where one figure is published: the shares that the H100's limits have of its typical one, see `fryer.parts`."""
_A100_SHARE = 180 / 300
"""NeMo launcher's limit for 8 A100 SXM, of their NVLink."""
_RING = (380 / 400, 360 / 400, 330 / 400)
"""Of the NICs' rate: 368 to 396 GB/s of 8 x 400 Gb/s with NCCL_ALGO=Ring (Smol Training Playbook; nccl-tests 290, 309,
319), and limits below the worst of them."""
_TREE_OF_TWO = (479 / 480, 440 / 480, 400 / 480)
"""Of the one-node figure with NVLS: 479 on two nodes (Smol Training Playbook); 440 is OCI's limit for a pair."""
_MANY = (320 / 400, 290 / 400, 266 / 400)
"""Of the NICs' rate, the library's choice on three nodes and more: 293 to 387 GB/s of 400 are published as healthy (AWS
EFA, Voltage Park, CoreWeave; Smol Training Playbook, ml-engineering). The failing share is to it as Ring's is."""
_RAIL = (46 / 50, 42 / 50, 38.5 / 50)
"""One NDR NIC: 46 to 48 of 50 GB/s; an EFA pair 42 to 43 (nccl-tests issue 319; Smol Training Playbook)."""
_ALLTOALL = (81 / 93.75, 45 / 64.6, 41 / 64.6)
"""Of what leaves a node over its NICs: 81 GB/s on two nodes of 8 H100, 45 to 58 on more (Smol Training Playbook)."""


def expected(operation: str, platform: Platform) -> Expectation | None:
    """What `operation` should reach there; None where nobody has published it, or a link's rate is not known."""
    check_operation(operation)
    if platform.num_nodes * platform.ranks_per_node < 2:
        return None
    if platform.num_nodes == 1:
        return _in_one_node(operation, platform)
    return _between_nodes(operation, platform)


def _in_one_node(operation: str, platform: Platform) -> Expectation | None:
    nvlink = platform.nvlink_bytes_per_second
    if nvlink is None or not platform.has_switch:
        return None
    if nvlink < _HOPPER_NVLINK:
        return _before_hopper(operation, platform, nvlink)
    scale = nvlink / _HOPPER_NVLINK
    if operation == "all_reduce":
        return _all_reduce_in_node(platform, scale)
    if platform.ranks_per_node == 8 and operation in _OTHERS_IN_NODE:
        typical = _OTHERS_IN_NODE[operation] * _GIGA * scale
        return Expectation(
            typical=typical,
            warn=typical * _WARN_OF_TYPICAL,
            fail=typical * _FAIL_OF_TYPICAL,
            ceiling=nvlink,
            source=f"{_OTHERS_IN_NODE[operation]:g} GB/s on 8 GPUs with 450 GB/s of NVLink (ml-engineering; "
            f"Smol Training Playbook){_scaled(scale)}",
        )
    return None


def _all_reduce_in_node(platform: Platform, scale: float) -> Expectation | None:
    """The lower figures where it isn't known whether NVLS is used."""
    gpus = platform.ranks_per_node
    typical, warn, fail, ceiling = (value * scale for value in (_NVLS if platform.has_nvls else _NO_NVLS))
    note = "" if platform.has_nvls is not None else "; NVLS is not known, so the figure without it"
    if platform.has_nvls is None:
        ceiling = _NVLS[3] * scale
    if platform.has_nvls and gpus in _BY_NUM_GPUS:
        share = _BY_NUM_GPUS[gpus] / _BY_NUM_GPUS[8]
        typical, warn, fail = typical * share, warn * share, fail * share
    elif gpus != 8:
        return None
    return Expectation(
        typical=typical,
        warn=warn,
        fail=fail,
        ceiling=ceiling,
        source=f"{_ONE_NODE}ml-engineering){note}{_scaled(scale)}",
    )


def _before_hopper(operation: str, platform: Platform, nvlink: float) -> Expectation | None:
    if operation != "all_reduce" or platform.ranks_per_node != 8:
        return None
    limit = nvlink * _A100_SHARE
    return Expectation(
        typical=limit,
        warn=limit,
        fail=limit,
        ceiling=nvlink,
        source="180 GB/s of 8 A100 SXM is the limit of the NeMo launcher; no typical figure is published",
    )


def _between_nodes(operation: str, platform: Platform) -> Expectation | None:
    rate = platform.nic_bytes_per_second
    if rate is None or not platform.num_nics:
        return None
    wire = rate * platform.num_nics
    if operation == "alltoall":
        return _alltoall(platform, wire)
    return _all_reduce_between(platform, wire) if operation == "all_reduce" else None


def _all_reduce_between(platform: Platform, wire: float) -> Expectation | None:
    if platform.ranks_per_node == 1:
        return _of(wire, _RAIL, wire, "one NDR 400 NIC gives 46 to 48 GB/s, an EFA pair 42 to 43")
    # A ring passes through a node's GPUs too: it is no faster than they are among themselves.
    inside = _in_one_node("all_reduce", _one_node_of(platform))
    ring = min(wire, platform.nvlink_bytes_per_second or wire)
    if platform.algorithm == "Ring":
        return _of(ring, _RING, ring, "8 x 400 Gb/s a node with Ring: 368 to 396 GB/s (Playbook; nccl-tests 309, 319)")
    if platform.algorithm is not None:
        return None
    if platform.num_nodes == 2 and inside is not None and platform.has_nvls:
        reach = min(inside.typical, _wire_limit(platform, wire))
        source = "2 nodes of 8 x 400 Gb/s with the default tree: 479 GB/s (Playbook); OCI's limit for a pair is 440"
        return _of(reach, _TREE_OF_TWO, inside.ceiling, source)
    ceiling = _wire_limit(platform, wire)
    return _of(ring, _MANY, ceiling, "3 to 64 nodes of 8 x 400 Gb/s: 293 to 387 GB/s (Playbook, CoreWeave)")


def _wire_limit(platform: Platform, wire: float) -> float:
    """Bus bandwidth at which a hierarchical all_reduce fills the NICs: a NIC of m nodes and n ranks carries
    busbw x (m-1)/(n-1) for each GPU beside it (derived in ml-engineering)."""
    nodes, ranks = platform.num_nodes, platform.num_nodes * platform.ranks_per_node
    return wire / platform.ranks_per_node * (ranks - 1) / (nodes - 1)


def _alltoall(platform: Platform, wire: float) -> Expectation | None:
    """Of the n-1 parts that a rank sends, n-g leave the node."""
    ranks = platform.num_nodes * platform.ranks_per_node
    share = wire / platform.ranks_per_node
    limit = share * (ranks - 1) / (ranks - platform.ranks_per_node)
    typical = _ALLTOALL[0] if platform.num_nodes == 2 else _ALLTOALL[1]
    shares = (typical, _ALLTOALL[1], _ALLTOALL[2])
    return _of(limit, shares, limit, "8 H100 a node: 81 GB/s on 2 nodes, 45 to 58 on more (Smol Training Playbook)")


def _one_node_of(platform: Platform) -> Platform:
    return Platform(
        num_nodes=1,
        ranks_per_node=platform.ranks_per_node,
        nvlink_bytes_per_second=platform.nvlink_bytes_per_second,
        has_switch=platform.has_switch,
        has_nvls=platform.has_nvls,
    )


def _of(rate: float, shares: tuple[float, float, float], ceiling: float, source: str) -> Expectation:
    typical, warn, fail = (rate * share for share in shares)
    return Expectation(
        typical=typical, warn=warn, fail=fail, ceiling=ceiling, source=f"{source}; as a share of the links here"
    )


def _scaled(scale: float) -> str:
    return "" if scale == 1 else f"; scaled by {scale:.2f}, the rate of NVLink here"
