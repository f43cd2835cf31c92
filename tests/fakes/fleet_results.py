"""Results of runs over many nodes, with a few that are not fit, made without running or judging anything."""

import random
from collections.abc import Mapping
from dataclasses import replace

from fryer.collectives.cases import CollectiveCase, CollectiveRow
from fryer.evidence import DeviceInfo, DeviceVerdict, Measurement, NodeEvidence, NodeVerdict, Reason
from fryer.localise import LinkFinding, Round, Trial
from fryer.plan import Phase, Plan
from fryer.records import BYTES, FLOPS, Counted, Mismatch, Point
from fryer.result import Network, RunInfo, RunResult
from watchdog.collectors.readings import GpuReading
from watchdog.vocabulary.verdicts import Verdict, gravest

PART = "NVIDIA H100 80GB HBM3"
COMMAND = "fryer run --nodes {nodes} --duration 1m40s"
CASES = (
    ("gemm", "bf16 8192x8192x8192", FLOPS, 7.29e14),
    ("gemm", "fp8 8192x8192x8192", FLOPS, 1.36e15),
    ("hbm", "copy", BYTES, 2.93e12),
    ("hbm", "triad", BYTES, 2.98e12),
    ("pcie", "h2d", BYTES, 5.53e10),
    ("pcie", "d2h", BYTES, 5.48e10),
    ("soak", "bf16 8192x8192x8192", FLOPS, 7.11e14),
    ("soak", "all_reduce 1 GiB", BYTES, 4.75e11),
)
PAIR = 378e9
VERSIONS = {"fryer": "0.1.0", "torch": "2.13.0", "cuda": "13.0", "python": "3.11.2", "kernel": "6.8.0"}


def names(num_nodes: int) -> tuple[str, ...]:
    width = max(3, len(str(num_nodes)))
    return tuple(f"node{i:0{width}d}" for i in range(1, num_nodes + 1))


def device(node: str, index: int) -> DeviceInfo:
    number = int(node.removeprefix("node"))
    return DeviceInfo(
        name=f"gpu{index}",
        kind="simulated",
        part=PART,
        uuid=f"GPU-{number:08x}-1111-2222-3333-{index:012x}",
        serial=f"16541{number:06d}{index:02d}",
        pci_bus_id=f"0000:{0x1B + 8 * index:02x}:00.0",
        driver="570.86.15",
        memory_bytes=85_520_809_984,
    )


def evidence_of(
    node: str, *, num_gpus: int = 8, num_points: int = 3, slow: Mapping[tuple[str, str], float] | None = None
) -> NodeEvidence:
    """A node whose GPUs give `CASES` with 0.4 % of noise; `slow`: by (device, burn) what of the rate is left."""
    draw = random.Random(node)
    devices = tuple(device(node, index) for index in range(num_gpus))
    measurements = []
    for burn, case, metric, rate in CASES:
        for info in devices:
            value = rate * draw.gauss(1, 0.004) * (slow or {}).get((info.name, burn), 1.0)
            series = tuple(
                Point(device=info.name, burn=burn, case=case, metric=metric, at_seconds=float(at + 1), value=value)
                for at in range(num_points)
            )
            measurements.append(
                Measurement(
                    device=info.name,
                    burn=burn,
                    case=case,
                    metric=metric,
                    value=value,
                    spread_ratio=0.002,
                    steady_from_seconds=1.0,
                    digest="91b1c0ffee00d00d" if burn == "gemm" else None,
                    series=series,
                )
            )
    return NodeEvidence(
        node=node,
        devices=devices,
        versions=VERSIONS,
        measurements=tuple(measurements),
        counted=tuple(
            Counted(device=info.name, burn="gemm", case=CASES[0][1], what="products", count=100_000) for info in devices
        ),
    )


def with_readings(evidence: NodeEvidence, seconds: int = 100) -> NodeEvidence:
    readings = {
        info.name: tuple(
            GpuReading(
                uuid=info.uuid, at_seconds=float(at), power_watts=690.0 + at % 7, temperature_celsius=62 + at % 3
            )
            for at in range(seconds)
        )
        for info in evidence.devices
    }
    return replace(evidence, gpu_readings=readings)


def verdict_of(
    evidence: NodeEvidence,
    *,
    of_node: tuple[Reason, ...] = (),
    of_devices: Mapping[str, tuple[Reason, ...]] | None = None,
) -> NodeVerdict:
    devices = tuple(
        DeviceVerdict(
            device=info.name,
            verdict=gravest([Verdict.PASS, *(r.verdict for r in (of_devices or {}).get(info.name, ()))]),
            reasons=(of_devices or {}).get(info.name, ()),
        )
        for info in evidence.devices
    )
    return NodeVerdict(
        node=evidence.node,
        verdict=gravest([*(d.verdict for d in devices), *(r.verdict for r in of_node)]),
        devices=devices,
        reasons=of_node,
    )


def below_floor(node: str, name: str, share: float) -> Reason:
    return Reason(
        code="below_floor",
        verdict=Verdict.FAIL,
        message=f"gemm {CASES[0][1]} at {729 * share:.0f} TFLOP/s, floor 650 TFLOP/s",
        evidence={
            "burn": "gemm",
            "case": CASES[0][1],
            "metric": FLOPS,
            "value": 7.29e14 * share,
            "fail": 6.5e14,
        },
        remedy="look at its clocks, power cap and cooling (nvidia-smi -q), and at its neighbours; then replace it",
        repeat=f"fryer run --nodes {node} --burns gemm --duration 40s --seed 7",
    )


def wrong_bits(node: str, name: str) -> Reason:
    return Reason(
        code="digest_minority",
        verdict=Verdict.FAIL,
        message=f"gemm {CASES[0][1]} on {name}: 1 wrong result (of 100,000 products verified)",
        evidence={"burn": "gemm", "case": CASES[0][1], "count": 1, "verified": 100_000},
        remedy="take the device out of service: it computes or stores wrong values in silence",
        repeat=f"fryer run --nodes {node} --burns gemm --duration 40s --seed 7",
    )


def slow_network(node: str, first: str, second: str) -> Reason:
    return Reason(
        code="slow_network",
        verdict=Verdict.FAIL,
        message=f"{node} failed with {first} and {second}; {first}-{second} passed at 378 GB/s; {node} gave at best "
        f"212 GB/s, 56 % of 378 GB/s",
        evidence={"expected_bytes_per_second": PAIR},
        remedy="check its NICs, cables and transceivers (ibstat, mlxlink), and the switch ports they are in",
        repeat=f"fryer run --nodes {first},{node}",
    )


def unreachable(node: str) -> Reason:
    return Reason(
        code="unreachable",
        verdict=Verdict.ERROR,
        message=f"no connection to {node} within 15.0s: No route to host",
        evidence={"exit_code": 255, "stderr": f"ssh: connect to host {node} port 22: No route to host"},
        remedy="see whether it is up and whether ssh reaches it without a password",
    )


def warm(node: str) -> Reason:
    return Reason(
        code="unsteady",
        verdict=Verdict.WARN,
        message=f"gemm {CASES[0][1]} never became steady",
        evidence={"burn": "gemm", "case": CASES[0][1], "metric": FLOPS},
        remedy="run it for longer, and watch its temperatures",
    )


def fate_of(node: str, index: int, every: int) -> tuple[NodeEvidence, NodeVerdict]:
    """Of each `every` nodes one is bad, in turn in five ways."""
    if index % every != 2:
        evidence = evidence_of(node)
        return evidence, verdict_of(evidence)
    kind = index // every % 5
    if kind == 0:
        evidence = with_readings(
            evidence_of(node, num_points=40, slow={("gpu3", "gemm"): 0.82, ("gpu3", "soak"): 0.85})
        )
        return evidence, verdict_of(evidence, of_devices={"gpu3": (below_floor(node, "gpu3", 0.82),)})
    if kind == 1:
        evidence = evidence_of(node)
        return evidence, verdict_of(evidence, of_node=(slow_network(node, "node001", "node002"),))
    if kind == 2:
        evidence = NodeEvidence(node=node, devices=(), versions={})
        return evidence, verdict_of(evidence, of_node=(unreachable(node),))
    if kind == 3:
        evidence = replace(evidence_of(node), mismatches=(wrong_result(),))
        return evidence, verdict_of(evidence, of_devices={"gpu5": (wrong_bits(node, "gpu5"),)})
    evidence = evidence_of(node)
    return evidence, verdict_of(evidence, of_devices={"gpu1": (warm(node),)})


def wrong_result() -> Mismatch:
    return Mismatch(
        device="gpu5",
        burn="gemm",
        case=CASES[0][1],
        seed=7,
        round=3,
        pair=1,
        at_seconds=2.0,
        index=40217,
        num_wrong=1,
        expected="3f9d",
        read="3fdd",
        is_nan=False,
        reproduced=False,
        how="vote",
    )


def network_of(nodes: tuple[str, ...], slow: frozenset[str], bad_pair: tuple[str, str] | None) -> Network:
    """Two matchings of all nodes, and suspects with proven partners."""
    draw = random.Random(7)
    good = [node for node in nodes if node not in slow]
    pairings = [
        tuple(zip(nodes[::2], nodes[1::2], strict=False)),
        tuple(zip(nodes[1::2], nodes[2::2], strict=False)),
        tuple(zip(sorted(slow), good, strict=False)),
    ]
    trials = [
        Trial(
            round=number, nodes=pair, values=tuple(_rate(pair, slow, bad_pair) * draw.gauss(1, 0.005) for _ in range(5))
        )
        for number, pairs in enumerate(pairings, start=1)
        for pair in pairs
    ]
    whys = ("first matching", "second matching", "suspects with proven partners")
    rounds = [
        Round(number=number, groups=pairs, repeats=5, why=why)
        for (number, pairs), why in zip(enumerate(pairings, start=1), whys, strict=True)
        if pairs
    ]
    return Network(
        rounds=tuple(rounds), trials=tuple(trials), rows=sweep(len(good) * 8), expected_bytes_per_second=PAIR
    )


def _rate(pair: tuple[str, str], slow: frozenset[str], bad_pair: tuple[str, str] | None) -> float:
    if set(pair) & slow:
        return PAIR * 0.56
    return PAIR * 0.5 if bad_pair and set(pair) == set(bad_pair) else PAIR


def sweep(num_ranks: int) -> tuple[CollectiveRow, ...]:
    return tuple(
        CollectiveRow(
            case=CollectiveCase(operation=operation, size_bytes=size),
            repeat=0,
            num_ranks=num_ranks,
            seconds=size / rate,
            algbw_bytes_per_second=rate,
            busbw_bytes_per_second=rate * factor,
            num_wrong=0,
            slowest_seconds=size / rate * 1.02,
            transport="NCCL NET/IB/GDRDMA",
        )
        for operation, factor, peak in (("all_reduce", 1.98, 1.9e11), ("all_gather", 0.99, 3.7e11))
        for size, rate in ((1 << 20, peak / 40), (1 << 30, peak))
    )


def make_fleet(num_nodes: int, *, every: int = 16) -> RunResult:
    """A run over `num_nodes`: of each `every` one is not fit, and one path is slow where there are more than 8."""
    nodes = names(num_nodes)
    fates = [fate_of(node, index, every) for index, node in enumerate(nodes)]
    slow = frozenset(v.node for _, v in fates if any(r.code == "slow_network" for r in v.reasons))
    path = (nodes[6], nodes[7]) if num_nodes > 8 else None
    links = (
        (
            LinkFinding(
                nodes=path,
                verdict=Verdict.FAIL,
                code="slow_path",
                proof=f"{path[0]}-{path[1]} was slow at 189 GB/s; {path[0]} passed with {nodes[5]} at 378 GB/s and "
                f"{path[1]} with {nodes[8]} at 377 GB/s",
                evidence={"expected_bytes_per_second": PAIR},
            ),
        )
        if path
        else ()
    )
    present = tuple(e.node for e, _ in fates if e.devices)
    return RunResult(
        info=info_of(nodes),
        seconds=754.0,
        evidence=tuple(evidence for evidence, _ in fates),
        verdicts=tuple(verdict for _, verdict in fates),
        links=links,
        proof=(f"{len(present):,} nodes were measured in pairs; half of the pairs gave 378 GB/s or more.",),
        network=network_of(present, slow, path),
    )


def info_of(nodes: tuple[str, ...]) -> RunInfo:
    phases = (("gemm", 40.0), ("hbm", 10.0), ("pcie", 10.0), ("soak", 40.0))
    plan = Plan(
        nodes=nodes,
        dtypes=("bf16", "fp8"),
        phases=tuple(Phase(burn=burn, seconds=seconds) for burn, seconds in phases),
        seed=7,
        memory_ratio=None,
        scenario="fleet.toml",
    )
    command = COMMAND.format(nodes=f"node[{nodes[0][4:]}-{nodes[-1][4:]}]")
    return RunInfo(
        run_id="3f2a91c4-0000-4000-8000-000000000001", started_at="2026-03-02T08:15:00Z", plan=plan, command=command
    )
