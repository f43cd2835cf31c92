"""Disks that are full or read-only for real, and a run that is worth keeping."""

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from watchdog.store import Recording, StoredDevice, StoredMeasurement, StoredNode, StoredRun
from watchdog.vocabulary.findings import Severity
from watchdog.vocabulary.incidents import Incident, IncidentState
from watchdog.vocabulary.signals import Action, Signal
from watchdog.vocabulary.subjects import Subject
from watchdog.vocabulary.verdicts import Verdict

RUN = StoredRun(
    run_id="r1",
    started_at="2026-01-01T00:00:00+00:00",
    command="fryer run",
    seconds=4.5,
    verdict=Verdict.WARN,
    plan={"seed": 2**64},
    fryer_version="0.1.0",
    nodes=(
        StoredNode(
            node="n1",
            verdict=Verdict.WARN,
            interrupted="Ctrl-C",
            versions={"fryer": "0.1.0"},
            reasons=({"code": "a"},),
            findings={"mismatches": [{"index": None}]},
            devices=(
                StoredDevice(
                    name="gpu0",
                    kind="cuda",
                    part="H100",
                    uuid="GPU-1a",
                    serial="s",
                    pci_bus_id="0000:1b:00.0",
                    vbios="v",
                    driver="570",
                    memory_bytes=80 << 30,
                    cores=None,
                    clock_max_hertz=1.98e9,
                    link_bytes_per_second=6.3e10,
                    link="PCIe 5.0 x16",
                    more={"isa": "x"},
                    verdict=Verdict.WARN,
                    reasons=({"code": "b"},),
                ),
            ),
            measurements=(
                StoredMeasurement(
                    device="gpu0",
                    burn="gemm",
                    case="bf16",
                    metric="flops_per_second",
                    value=7e14,
                    spread_ratio=0.001,
                    steady_from_seconds=None,
                    digest="00ff",
                    more={},
                    points=((1.0, 7e14), (2.0, 7.1e14)),
                ),
            ),
            recordings=(Recording(source="gpu_readings", device="gpu0", columns={"at_seconds": [1.0], "ecc": [None]}),),
        ),
    ),
)

INCIDENT = Incident(
    id="i1",
    node="n1",
    opened_at=1.0,
    updated_at=2.0,
    state=IncidentState.ACTED,
    severity=Severity.FAIL,
    root=Subject("n1", "gpu", "GPU-a"),
    root_code="xid_79",
    title="GPU-a fell off the bus",
    action="reboot_node",
    victims=(Subject("n1", "rank", "3"), Subject("n1", "gpu", "GPU-b")),
    count=3,
    codes=("xid_79", "sxid_20034"),
    repeats=1,
    previous="i0",
    acted_at=2.0,
    cost={"steps": 4.0},
    evidence=({"line": "NVRM: Xid"},),
)
SIGNAL = Signal(
    id="s1",
    action=Action.DRAIN,
    reason="GPU-a is lost",
    confidence=0.9,
    created_at=1.0,
    expires_at=61.0,
    run="r",
    not_after_step=7,
    incident="i1",
    is_observed_only=True,
)


@pytest.fixture
def incident() -> Incident:
    return INCIDENT


@pytest.fixture
def signal() -> Signal:
    return SIGNAL


@pytest.fixture
def run() -> StoredRun:
    return RUN


@pytest.fixture
def with_id() -> Callable[[str], StoredRun]:
    return lambda run_id: replace(RUN, run_id=run_id)


@pytest.fixture
def mount() -> Iterator[Callable[..., Path]]:
    """Mounts over a directory, which it makes; unmounts what is left at the end."""
    mounted: list[Path] = []

    def do(point: Path, *arguments: Any) -> Path:
        point.mkdir(exist_ok=True)
        if subprocess.run(["mount", *arguments, point], check=False, capture_output=True).returncode:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("can't mount here (not root)")
        mounted.append(point)
        return point

    yield do
    for point in reversed(mounted):
        subprocess.run(["umount", point], check=True)


@pytest.fixture
def disk(tmp_path: Path, mount: Callable[..., Path]) -> Path:
    """An empty file system of 4 MiB."""
    return mount(tmp_path / "disk", "-t", "tmpfs", "-o", "size=4m", "tmpfs")


@pytest.fixture
def make_read_only() -> Callable[[Path], None]:
    def do(point: Path) -> None:
        subprocess.run(["mount", "-o", "remount,ro", point], check=True)

    return do


@pytest.fixture
def fill() -> Callable[[Path], None]:
    """Leaves no byte free."""

    def do(point: Path) -> None:
        with (point / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    return do
