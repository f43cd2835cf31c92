"""Builders of windows, so that a test says only what it is about. Times count back from NOW; all GPUs are H100s."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from watchdog.vocabulary.samples import Event, Row, Window, window_of
from watchdog.vocabulary.subjects import Subject
from watchdog.xids import sxid, xid

DATA = Path(__file__).parents[3] / ".." / "shared" / "data"
NOW = 1_755_000_000.0
NODE = Subject("node001")
HEALTHY: Mapping[str, float] = {
    "power_watts": 690.0,
    "temperature_celsius": 62.0,
    "memory_temperature_celsius": 78.0,
    "temperature_margin_celsius": 23.0,
    "sm_clock_hertz": 1.755e9,
    "clock_event_reasons": 0x4,
    "thermal_throttle_seconds": 3.0,
    "power_brake_seconds": 0.0,
    "utilization_ratio": 1.0,
    "memory_utilization_ratio": 0.55,
    "ecc_corrected_total": 2.0,
    "ecc_uncorrected_total": 0.0,
    "remapped_rows_corrected": 0.0,
    "remapped_rows_uncorrected": 1.0,
    "remap_pending": 0.0,
    "remap_failed": 0.0,
    "remap_banks_none": 0.0,
    "remap_banks_low": 0.0,
    "sram_threshold_exceeded": 0.0,
    "pcie_generation": 5.0,
    "pcie_width": 16.0,
    "pcie_replays_total": 67.0,
    "pcie_rx_bytes_per_second": 2e9,
    "pcie_tx_bytes_per_second": 2e9,
    "nvlink_errors_total": 12.0,
    "nvlink_links_up": 18.0,
    "fabric_state": 3.0,
    "fabric_status": 0.0,
    "fabric_health": 1.0,
    "recovery_action": 0.0,
    "lost": 0.0,
    "nvml_silent_seconds": 0.0,
}
BASELINE = {
    "gemm bf16 sm_clock_hertz": 1.75e9,
    "gemm bf16 power_watts": 699.0,
    "gemm bf16 temperature_celsius": 64.0,
    "hbm copy memory_temperature_celsius": 80.0,
    "gemm bf16 flops_per_second": 7.3e14,
}
Value = float | Callable[[float], float | None]


def gpu(index: int) -> Subject:
    return Subject("node001", "gpu", f"GPU-{index:04d}")


def gpu_facts(index: int, **changes: object) -> dict[str, object]:
    return {
        "index": index,
        "part": "NVIDIA H100 80GB HBM3",
        "pci_bus_id": f"0000:{index + 16:02x}:00.0",
        "power_limit_watts": 700.0,
        "sm_clock_max_hertz": 1.98e9,
        "pcie_generation_max": 5,
        "pcie_width_max": 16,
        "nvlinks": 18,
        "baseline": BASELINE,
        **changes,
    }


def rows(
    subject: Subject, seconds: float = 600.0, period: float = 10.0, until: float = 0.0, **values: Value
) -> list[Row]:
    """A row each `period` from `seconds` ago to `until` ago; a function of the age may give None: not read."""
    made, age = [], seconds
    while age >= until:
        read = {name: value(age) if callable(value) else value for name, value in values.items()}
        made.append(Row(subject=subject, at=NOW - age, values={k: float(v) for k, v in read.items() if v is not None}))
        age -= period
    return made


def gpu_rows(index: int, seconds: float = 600.0, **changes: Value) -> list[Row]:
    """A healthy GPU under load, but for the changes."""
    return rows(gpu(index), seconds, **{**HEALTHY, **changes})


def window(
    *groups: Iterable[Row], events: Iterable[Event] = (), facts: Mapping[Subject, Mapping[str, object]] | None = None
) -> Window:
    together = sorted((row for group in groups for row in group), key=lambda row: row.at)
    return window_of(NOW, together, tuple(sorted(events, key=lambda event: event.at)), facts)


def node_of(count: int = 8, changed: Mapping[int, Mapping[str, Value]] | None = None, **more: object) -> Window:
    """A node of loaded H100s; `changed`: by index, values that differ."""
    groups = [gpu_rows(index, **(changed or {}).get(index, {})) for index in range(count)]
    facts = {gpu(index): gpu_facts(index) for index in range(count)}
    return window(*groups, facts={**facts, **more.pop("facts", {})}, **more)


def xid_event(index: int, code: int, age: float, **changes: object) -> Event:
    """As the catalogue grades it."""
    entry = xid(code)
    fields = {"severity": entry.severity, "action": entry.action, "line": f"NVRM: Xid (PCI:0000:1{index}:00): {code}"}
    return Event(kind="xid", subject=gpu(index), at=NOW - age, code=code, **{**fields, **changes})


def sxid_event(switch: str, code: int, age: float, **changes: object) -> Event:
    entry = sxid(code)
    fields = {"severity": entry.severity, "action": entry.action}
    subject = Subject("node001", "switch", switch)
    return Event(kind="sxid", subject=subject, at=NOW - age, code=code, **{**fields, **changes})


@pytest.fixture(scope="session")
def captured() -> Callable[[str], str]:
    """The text of a captured public file; skips where the data does not lie beside the repository."""

    def read(name: str) -> str:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"{path} is not here: captured data lies beside the repository")
        return path.read_text(encoding="utf-8", errors="replace")

    return read


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    return SimpleNamespace(
        NOW=NOW,
        NODE=NODE,
        gpu=gpu,
        facts=gpu_facts,
        rows=rows,
        gpu_rows=gpu_rows,
        window=window,
        node_of=node_of,
        xid=xid_event,
        sxid=sxid_event,
    )


@pytest.fixture(scope="session")
def sick() -> dict[str, Window]:
    """By detector: a window in which it finds its fault."""
    nic, disk = Subject("node001", "nic", "mlx5_0:1"), Subject("node001", "disk", "/data")
    collector = Subject("node001", "process", "collector:dcgm")
    stuck = {
        "power_watts": 130.0,
        "sm_clock_hertz": 1.98e9,
        "memory_utilization_ratio": 0.0,
        "pcie_rx_bytes_per_second": 1e6,
        "pcie_tx_bytes_per_second": 1e6,
    }
    return {
        "recovery_action": node_of(2, {1: {"recovery_action": 1}}),
        "xid": node_of(2, events=[xid_event(1, 79, 100), xid_event(0, 45, 90), xid_event(0, 13, 400)]),
        "gpu_missing": node_of(2, {1: {"lost": 1}}),
        "nvml_unresponsive": node_of(2, {1: {"nvml_silent_seconds": lambda age: 600 - age}}),
        "ecc": node_of(2, {1: {"ecc_uncorrected_total": lambda age: 2 if age < 300 else 0}}),
        "row_remap": node_of(2, {1: {"remap_failed": 1, "remap_pending": 1}}),
        "clock_limits": node_of(2, {1: {"clock_event_reasons": 0x88, "sm_clock_hertz": 86e6}}),
        "thermal_margin": node_of(2, {1: {"temperature_margin_celsius": 1, "memory_temperature_celsius": 97}}),
        "power": node_of(8, {1: {"power_watts": 300}}),
        "nvlink": node_of(2, {1: {"nvlink_errors_total": lambda age: (600 - age) * 200, "nvlink_links_up": 17}}),
        "pcie_replay": node_of(2, {1: {"pcie_replays_total": lambda age: 600 - age}}),
        "pcie_width": node_of(2, {1: {"pcie_width": 8}}),
        "infiniband": window(
            rows(nic, link_up=lambda age: 0 if age == 100 else 1, link_downed_total=lambda age: age <= 100)
        ),
        "gpu_stuck": node_of(2, {1: stuck}),
        "baseline_drift": node_of(2, {1: {"sm_clock_hertz": 1.4e9, "temperature_celsius": 75}}),
        "kernel_events": window(
            events=[
                Event(
                    kind="filesystem",
                    subject=Subject("node001", "disk", "nvme0n1"),
                    at=NOW - 50,
                    severity="critical",
                    action="inspect",
                    message="a file system is read-only from here on",
                    data={"label": "fs_readonly", "count": 3},
                )
            ]
        ),
        "dcgm_health": node_of(2, {1: {"dcgm_health": 2}}),
        "host_memory": window(rows(NODE, memory_available_bytes=1e10, memory_total_bytes=2e12)),
        "disk_full": window(rows(disk, free_bytes=lambda age: 1e11 + age * 1e7, total_bytes=7e12)),
        "storage_slow": window(rows(disk, write_latency_seconds=lambda age: 5.0 if age < 60 else 0.01)),
        "clock_skew": window(rows(NODE, clock_offset_seconds=-0.2)),
        "stale_collector": window(
            rows(collector, success=lambda age: age > 200), facts={collector: {"period_seconds": 30.0}}
        ),
    }
