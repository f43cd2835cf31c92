"""Builders of evidence, so that a test says only what it is about. All are pure and seeded."""

import random
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import pytest

from fryer.evidence import DeviceInfo, Measurement, NodeEvidence, PastMeasurement
from fryer.records import BYTES, FLOPS, Counted, Point
from fryer.steady import measure
from watchdog.collectors.readings import GpuReading

H100 = "NVIDIA H100 80GB HBM3"
BF16 = "bf16 8192x8192x8192"


def gpu(index: int, **changes: object) -> DeviceInfo:
    """An H100 SXM on a Gen5 x16 path."""
    fields = {
        "name": f"gpu{index}",
        "kind": "cuda",
        "part": H100,
        "uuid": f"GPU-{index:04d}",
        "pci_bus_id": f"0000:{index + 16:02x}:00.0",
        "clock_max_hertz": 1.98e9,
        "link_bytes_per_second": 63.0e9,
        "link": "PCIe 5.0 x16",
    }
    return DeviceInfo(**fields | changes)


def cpu(**changes: object) -> DeviceInfo:
    """A processor that nobody has figures of."""
    fields = {"name": "cpu0", "kind": "cpu", "part": "Some Processor", "uuid": "cpu-0", "cores": 2}
    return DeviceInfo(**fields | changes)


def series(  # noqa: PLR0913 - one argument a field
    device: str,
    value: float,
    *,
    burn: str = "gemm",
    case: str = BF16,
    metric: str = FLOPS,
    count: int = 30,
    noise: float = 0.0,
    seed: int = 0,
    start: float = 0.0,
) -> Measurement:
    """`count` points a second apart about `value`, and their steady state."""
    generator = random.Random(f"{seed}/{device}/{burn}/{case}")
    points = [
        Point(
            device=device,
            burn=burn,
            case=case,
            metric=metric,
            at_seconds=start + 1.0 + i,
            value=value * (1 + noise * generator.gauss(0, 1)),
        )
        for i in range(count)
    ]
    return measure(points)[0]


def verified(measurements: Sequence[Measurement]) -> tuple[Counted, ...]:
    """A thousand products of each format."""
    return tuple(
        Counted(device=m.device, burn="gemm", case=m.case, what="products", count=1000)
        for m in measurements
        if m.burn == "gemm"
    )


def readings(uuid: str, count: int = 30, **fields: object) -> tuple[GpuReading, ...]:
    """One a second; a callable field is called with the index."""
    fields.setdefault("temperature_celsius", 60.0)
    return tuple(
        GpuReading(
            uuid=uuid,
            at_seconds=float(i),
            **{name: value(i) if callable(value) else value for name, value in fields.items()},
        )
        for i in range(count)
    )


def node(devices: Sequence[DeviceInfo], measurements: Sequence[Measurement] = (), **fields: object) -> NodeEvidence:
    """Evidence of one node: GPUs are seen to be cool and products verified, where a test says nothing else of it."""
    fields["gpu_readings"] = {
        d.name: readings(d.uuid, temperature_celsius=60.0) for d in devices if d.kind != "cpu"
    } | dict(fields.get("gpu_readings", {}))
    fields.setdefault("counted", verified(measurements))
    return NodeEvidence(
        node="node001",
        devices=tuple(devices),
        versions={},
        measurements=tuple(measurements),
        repeat={"gemm": "fryer run --burns gemm", "memory": "fryer run --burns memory"},
        **fields,
    )


def h100s(values: Mapping[int, float] | Sequence[float], **fields: object) -> NodeEvidence:
    """A node of H100s with one bf16 figure each."""
    return node([gpu(i) for i in range(len(values))], [series(f"gpu{i}", v) for i, v in enumerate(values)], **fields)


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The builders above."""
    return SimpleNamespace(
        gpu=gpu,
        cpu=cpu,
        series=series,
        readings=readings,
        node=node,
        h100s=h100s,
        H100=H100,
        BF16=BF16,
        BYTES=BYTES,
        FLOPS=FLOPS,
    )


def codes(verdict_or_conclusions: object, device: str | None = None) -> dict[str, str]:
    """Reason code -> verdict, of a device of a NodeVerdict, or of a sequence of conclusions."""
    if hasattr(verdict_or_conclusions, "devices"):
        found = next(d for d in verdict_or_conclusions.devices if d.device == device)
        return {reason.code: str(reason.verdict) for reason in found.reasons}
    return {c.reason.code: str(c.reason.verdict) for c in verdict_or_conclusions if device in (None, c.device)}


@pytest.fixture(name="codes", scope="session")
def codes_fixture() -> object:
    """The function above."""
    return codes


def past(uuid: str, value: float, **changes: object) -> PastMeasurement:
    """A bf16 figure of an earlier run."""
    fields = {
        "uuid": uuid,
        "node": "node000",
        "part": H100,
        "burn": "gemm",
        "case": BF16,
        "metric": FLOPS,
        "value": value,
        "at": "2026-08-01T00:00:00Z",
        "run_id": "run-1",
    }
    return PastMeasurement(**fields | changes)


@pytest.fixture(name="past", scope="session")
def past_fixture() -> object:
    """The function above."""
    return past
