"""A realistic run for all outputs: eight H100s, of which gpu5 throttles and gpu2 multiplies wrongly."""

import math
import random
from dataclasses import dataclass, field

import pytest

from fryer.evidence import DeviceInfo, Measurement, NodeEvidence
from fryer.plan import Phase, Plan
from fryer.records import BYTES, FLOPS, Counted, Mismatch, Point, Problem
from fryer.result import RunInfo, RunResult
from fryer.verdict import judge
from watchdog.collectors.readings import GpuReading, HostReading, XidEvent
from watchdog.vocabulary.verdicts import Verdict

COMMAND = "fryer run --nodes node001 --duration 1m40s"
PART = "NVIDIA H100 80GB HBM3"
PHASES = (("gemm", 40.0), ("memory", 10.0), ("hbm", 10.0), ("pcie", 10.0), ("p2p", 10.0), ("soak", 20.0))
CASES = (
    ("gemm", "bf16 8192x8192x8192", FLOPS, 7.29e14, 0.0, 20.0),
    ("gemm", "fp8 8192x8192x8192", FLOPS, 1.36e15, 20.0, 40.0),
    ("hbm", "copy", BYTES, 2.93e12, 50.0, 55.0),
    ("hbm", "triad", BYTES, 2.98e12, 55.0, 60.0),
    ("pcie", "h2d", BYTES, 5.53e10, 60.0, 65.0),
    ("pcie", "d2h", BYTES, 5.48e10, 65.0, 70.0),
    ("soak", "bf16 8192x8192x8192", FLOPS, 7.11e14, 80.0, 100.0),
)
THROTTLED = (4.0, 34.0)


@dataclass
class Sample:
    """One run, as an `Output` is told of it."""

    result: RunResult
    readings: list[tuple[str, GpuReading]] = field(default_factory=list)

    @property
    def evidence(self) -> NodeEvidence:
        return self.result.evidence[0]


def make_devices(num_devices: int = 8, part: str = PART) -> tuple[DeviceInfo, ...]:
    return tuple(
        DeviceInfo(
            name=f"gpu{i}",
            kind="cuda",
            part=part,
            uuid=f"GPU-0000000{i:x}-1111-2222-3333-444444444444",
            serial=f"16541230000{i:02d}",
            pci_bus_id=f"0000:{0x1B + 8 * i:02x}:00.0",
            vbios="96.00.99.00.01",
            driver="570.86.15",
            memory_bytes=85_520_809_984,
            clock_max_hertz=1.98e9,
            link_bytes_per_second=6.3e10,
            link="PCIe 5.0 x16 at 0000:1a:01.0",
        )
        for i in range(num_devices)
    )


def slowdown(device: str, at: float) -> float:
    return 0.82 if device == "gpu5" and THROTTLED[0] <= at < THROTTLED[1] else 1.0


def make_measurements(devices: tuple[DeviceInfo, ...], seed: int) -> tuple[Measurement, ...]:
    draw = random.Random(seed)
    made = []
    for burn, case, metric, rate, begin, end in CASES:
        for device in devices:
            own = rate * draw.gauss(1, 0.004)
            series = tuple(
                Point(
                    device=device.name,
                    burn=burn,
                    case=case,
                    metric=metric,
                    at_seconds=float(at),
                    value=own
                    * slowdown(device.name, at)
                    * (1 - 0.03 * math.exp(-(at - begin)))
                    * draw.gauss(1, 0.0015),
                )
                for at in range(int(begin) + 1, int(end) + 1)
            )
            steady = None if device.name == "gpu5" and burn == "gemm" else begin + 3
            kept = sorted(p.value for p in series if steady is None or p.at_seconds >= steady)
            value = kept[len(kept) // 2]
            spread = sorted(abs(v - value) for v in kept)[len(kept) // 2] / value
            digest = None if burn != "gemm" else "91b1c0ffee00d00d" if device.name != "gpu2" else "91b1c0ffee40d00d"
            made.append(
                Measurement(
                    device=device.name,
                    burn=burn,
                    case=case,
                    metric=metric,
                    value=value,
                    spread_ratio=spread,
                    steady_from_seconds=steady,
                    digest=digest,
                    series=series,
                )
            )
    return (*made, *make_pairs(devices, draw))


def make_pairs(devices: tuple[DeviceInfo, ...], draw: random.Random) -> list[Measurement]:
    """Every device to every other one; gpu6 and gpu7 are slow with each other."""
    return [
        Measurement(
            device=a.name,
            burn="p2p",
            case=f"to {b.name}",
            metric=BYTES,
            value=(1.2e11 if {a.name, b.name} == {"gpu6", "gpu7"} else 3.91e11) * draw.gauss(1, 0.004),
            spread_ratio=0.001,
            steady_from_seconds=None,
            digest=None,
            series=tuple(
                Point(device=a.name, burn="p2p", case=f"to {b.name}", metric=BYTES, at_seconds=70.0 + i, value=3.91e11)
                for i in range(2)
            ),
        )
        for a in devices
        for b in devices
        if a != b
    ]


def make_readings(devices: tuple[DeviceInfo, ...], seed: int) -> dict[str, tuple[GpuReading, ...]]:
    draw = random.Random(seed)
    readings = {}
    for device in devices:
        hot = 14 if device.name == "gpu5" else draw.uniform(-2, 2)
        rows = []
        for at in range(101):
            busy = not 40 <= at < 80
            throttled = slowdown(device.name, at) < 1
            power = 560 if throttled else 697 if busy else 390
            clock = 1.41e9 if throttled else 1.755e9 if busy else 1.98e9
            warm = 38 + (28 + hot) * (1 - math.exp(-at / 8)) * (1 if busy else 0.7)
            rows.append(
                GpuReading(
                    uuid=device.uuid,
                    at_seconds=float(at),
                    power_watts=power + draw.gauss(0, 3),
                    temperature_celsius=round(warm),
                    memory_temperature_celsius=round(warm + 11),
                    temperature_margin_celsius=round(87 - warm),
                    sm_clock_hertz=clock,
                    memory_clock_hertz=2.619e9,
                    clock_event_reasons=0x24 if throttled else 0x04 if busy else 0,
                    utilization_ratio=1.0,
                    memory_used_bytes=72_000_000_000,
                    ecc_corrected_total=0,
                    ecc_uncorrected_total=0,
                )
            )
        readings[device.name] = tuple(rows)
    return readings


def make_mismatch(device: str = "gpu2") -> Mismatch:
    return Mismatch(
        device=device,
        burn="gemm",
        case="bf16 8192x8192x8192",
        seed=7,
        round=3,
        pair=1,
        at_seconds=9.4,
        index=40217,
        num_wrong=1,
        expected="3f9d",
        read="3fdd",
        is_nan=False,
        reproduced=False,
        how="vote",
    )


def make_sample(num_devices: int = 8, *, node: str = "node001", part: str = PART, seed: int = 7) -> Sample:
    devices = make_devices(num_devices, part)
    readings = make_readings(devices, seed)
    draw = random.Random(seed)
    evidence = NodeEvidence(
        node=node,
        devices=devices,
        versions={
            "fryer": "0.1.0",
            "torch": "2.13.0",
            "cuda": "13.0",
            "python": "3.11.2",
            "kernel": "6.8.0",
            "driver": "570.86.15",
        },
        measurements=make_measurements(devices, seed),
        mismatches=(make_mismatch(),),
        problems=tuple(
            Problem(
                device=d.name,
                burn="gemm",
                case="fp64",
                verdict=Verdict.SKIPPED,
                code="unsupported",
                message="fp64 was not asked for",
            )
            for d in devices[:1]
        ),
        counted=tuple(
            Counted(device=d.name, burn=burn, case=case, what=what, count=count)
            for d in devices
            for burn, case, what, count in (
                ("gemm", "bf16 8192x8192x8192", "products", 118_764),
                ("gemm", "fp8 8192x8192x8192", "products", 221_370),
                ("memory", "", "bytes", 1_270_000_000_000),
            )
        ),
        gpu_readings=readings,
        host_readings=tuple(
            HostReading(
                at_seconds=float(at),
                pressure_some_ratio=0.02 + 0.01 * draw.random(),
                others_ratio=0.03 + 0.02 * draw.random(),
                steal_ratio=0.0,
                clock_hertz=3.1e9,
                memory_available_bytes=1_900_000_000_000,
            )
            for at in range(101)
        ),
        repeat={
            burn: f"fryer run --nodes {node} --burns {burn} --duration {seconds:g}s --seed 7"
            for burn, seconds in PHASES
        },
        xids=(XidEvent(uuid=devices[min(5, num_devices - 1)].uuid, code=31, at_seconds=33.0),),
    )
    verdict = judge(evidence)
    plan = Plan(
        nodes=(node,),
        dtypes=("bf16", "fp8"),
        phases=tuple(Phase(burn=b, seconds=s) for b, s in PHASES),
        seed=7,
        memory_ratio=0.9,
    )
    info = RunInfo(
        run_id="3f2a91c4-0000-4000-8000-000000000001", started_at="2026-03-02T08:15:00Z", plan=plan, command=COMMAND
    )
    result = RunResult(info=info, seconds=103.2, evidence=(evidence,), verdicts=(verdict,))
    told = sorted(((name, r) for name, rows in readings.items() for r in rows), key=lambda pair: pair[1].at_seconds)
    return Sample(result=result, readings=told)


@pytest.fixture(scope="session")
def sample() -> Sample:
    return make_sample()


@pytest.fixture(scope="session")
def build_sample():
    """`make_sample`, for tests that need another size, node or part."""
    return make_sample
