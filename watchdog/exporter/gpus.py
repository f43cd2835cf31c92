"""Series about GPUs and NVSwitches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan

from watchdog.exporter.daemon import STATES, severity_of_kind
from watchdog.exporter.freshness import fresh_rows
from watchdog.exporter.metrics import Point
from watchdog.state import State
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Subject

VALUES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "lost": ("gpu_lost", ()),
    "nvml_silent_seconds": ("gpu_nvml_silent_seconds", ()),
    "temperature_celsius": ("gpu_temperature_celsius", ("core",)),
    "memory_temperature_celsius": ("gpu_temperature_celsius", ("hbm",)),
    "temperature_margin_celsius": ("gpu_thermal_margin_celsius", ()),
    "power_watts": ("gpu_power_watts", ()),
    "energy_joules": ("gpu_energy_joules_total", ()),
    "sm_clock_hertz": ("gpu_clock_hertz", ("sm",)),
    "memory_clock_hertz": ("gpu_clock_hertz", ("memory",)),
    "thermal_throttle_seconds": ("gpu_clock_limit_seconds_total", ("thermal",)),
    "power_cap_seconds": ("gpu_clock_limit_seconds_total", ("power_cap",)),
    "power_brake_seconds": ("gpu_clock_limit_seconds_total", ("power_brake",)),
    "utilization_ratio": ("gpu_utilization_ratio", ("sm",)),
    "memory_utilization_ratio": ("gpu_utilization_ratio", ("memory",)),
    "memory_used_bytes": ("gpu_memory_used_bytes", ()),
    "ecc_corrected_total": ("gpu_ecc_errors_total", ("corrected",)),
    "ecc_uncorrected_total": ("gpu_ecc_errors_total", ("uncorrected",)),
    "remapped_rows_corrected": ("gpu_remapped_rows", ("corrected",)),
    "remapped_rows_uncorrected": ("gpu_remapped_rows", ("uncorrected",)),
    "remap_pending": ("gpu_row_remap_pending", ()),
    "remap_failed": ("gpu_row_remap_failed", ()),
    "sram_threshold_exceeded": ("gpu_sram_threshold_exceeded", ()),
    "remap_banks_none": ("gpu_row_remap_banks", ("none",)),
    "remap_banks_low": ("gpu_row_remap_banks", ("low",)),
    "nvlink_errors_total": ("gpu_nvlink_errors_total", ()),
    "nvlink_links_up": ("gpu_nvlink_links_up", ()),
    "fabric_state": ("gpu_fabric_state", ()),
    "fabric_status": ("gpu_fabric_status", ()),
    "fabric_health": ("gpu_fabric_health", ()),
    "pcie_generation": ("gpu_pcie_generation", ()),
    "pcie_width": ("gpu_pcie_width", ()),
    "pcie_replays_total": ("gpu_pcie_replays_total", ()),
    "pcie_rx_bytes_per_second": ("gpu_pcie_bytes_per_second", ("rx",)),
    "pcie_tx_bytes_per_second": ("gpu_pcie_bytes_per_second", ("tx",)),
    "nvlink_rx_bytes_per_second": ("gpu_nvlink_bytes_per_second", ("rx",)),
    "nvlink_tx_bytes_per_second": ("gpu_nvlink_bytes_per_second", ("tx",)),
    "graphics_active_ratio": ("gpu_activity_ratio", ("graphics",)),
    "sm_active_ratio": ("gpu_activity_ratio", ("sm",)),
    "sm_occupancy_ratio": ("gpu_activity_ratio", ("sm_occupancy",)),
    "tensor_active_ratio": ("gpu_activity_ratio", ("tensor",)),
    "dram_active_ratio": ("gpu_activity_ratio", ("dram",)),
    "dcgm_health": ("gpu_dcgm_health", ()),
    "read_seconds": ("gpu_read_seconds", ()),
}
"""Value of a row -> family, and its labels after ``gpu`` and ``uuid``."""

LIMITS: Mapping[str, str] = {
    "power_limit_watts": "gpu_power_limit_watts",
    "sm_clock_max_hertz": "gpu_sm_clock_max_hertz",
    "pcie_generation_max": "gpu_pcie_generation_max",
    "pcie_width_max": "gpu_pcie_width_max",
    "memory_bytes": "gpu_memory_total_bytes",
    "nvlinks": "gpu_nvlink_links",
}
"""Fact that is a figure -> family."""

CLOCK_REASONS = (
    "idle",
    "app_clocks",
    "sw_power_cap",
    "hw_slowdown",
    "sync_boost",
    "sw_thermal",
    "hw_thermal",
    "power_brake",
    "display",
)
"""By bit, from 0x1 on (nvml.h, nvmlClocksEventReason*)."""

RECOVERY_ACTIONS = ("none", "reset_gpu", "reboot_node", "drain_p2p", "drain_reset")
"""By the value of field 230 (nvml.h, nvmlDeviceGpuRecoveryAction_t)."""


@dataclass(frozen=True, slots=True)
class _Gpu:
    """How a GPU is named in labels."""

    index: str
    uuid: str
    pci: str


def gpu_points(state: State) -> Iterator[Point]:
    """Everything about GPUs and switches."""
    rows = {row.subject: row for row in fresh_rows(state, "gpu")}
    known = [subject for subject in {**state.facts, **state.rows} if subject.kind == "gpu"]
    if known:
        yield Point("fryer_gpus", (), sum(1 for row in rows.values() if not row.values.get("lost")))
    for subject in known:
        gpu = _gpu(state, subject)
        yield from _identity(gpu, state.facts.get(subject, {}))
        yield from _health(state, subject, gpu)
        if subject in rows:
            yield from _readings(gpu, rows[subject])
    yield from _xids(state, [_gpu(state, subject) for subject in known])
    for (pci, code), (count, at) in state.sxid_counts.items():
        yield Point("fryer_switch_sxid_events_total", (pci, str(code)), count)
        yield Point("fryer_switch_sxid_last_timestamp_seconds", (pci, str(code)), at)


def _gpu(state: State, subject: Subject) -> _Gpu:
    facts = state.facts.get(subject, {})
    return _Gpu(index=_text(facts.get("index")), uuid=subject.name, pci=_text(facts.get("pci_bus_id")))


def _identity(gpu: _Gpu, facts: Mapping[str, object]) -> Iterator[Point]:
    if facts:
        who = (_text(facts.get("part")), _text(facts.get("serial")), _text(facts.get("driver")))
        yield Point("fryer_gpu_info", (gpu.index, gpu.uuid, gpu.pci, *who), 1)
    for name, family in LIMITS.items():
        value = facts.get(name)
        if isinstance(value, int | float):
            yield Point(f"fryer_{family}", (gpu.index, gpu.uuid), float(value))


def _health(state: State, subject: Subject, gpu: _Gpu) -> Iterator[Point]:
    severity = severity_of_kind(state, "gpu", only=subject)
    for level, word in STATES:
        yield Point("fryer_gpu_health_state", (gpu.index, gpu.uuid, word), level == severity)


def _readings(gpu: _Gpu, row: Row) -> Iterator[Point]:
    who = (gpu.index, gpu.uuid)
    for name, (family, labels) in VALUES.items():
        value = row.values.get(name)
        if value is not None and not isnan(value):
            yield Point(f"fryer_{family}", (*who, *labels), value)
    if (reasons := row.values.get("clock_event_reasons")) is not None:
        for bit, reason in enumerate(CLOCK_REASONS):
            yield Point("fryer_gpu_clock_limited", (*who, reason), int(reasons) >> bit & 1)
    if (wanted := row.values.get("recovery_action")) is not None:
        for number, action in enumerate(RECOVERY_ACTIONS):
            yield Point("fryer_gpu_recovery_action", (*who, action), number == int(wanted))


def _xids(state: State, gpus: list[_Gpu]) -> Iterator[Point]:
    """One series a GPU and code. The same GPU may be counted by UUID (NVML) and by address (kernel log): added up."""
    by_name = {gpu.uuid: gpu for gpu in gpus} | {_slot(gpu.pci): gpu for gpu in gpus if gpu.pci}
    found: dict[tuple[str, str, str, str], tuple[int, float]] = {}
    for (name, code), (count, at) in state.xid_counts.items():
        gpu = by_name.get(name) or by_name.get(_slot(name)) or _stranger(name)
        labels = (gpu.index, gpu.uuid, gpu.pci, str(code))
        before, last = found.get(labels, (0, at))
        found[labels] = (before + count, max(last, at))
    for series, (total, newest) in found.items():
        yield Point("fryer_gpu_xid_events_total", series, total)
        yield Point("fryer_gpu_xid_last_timestamp_seconds", series, newest)


def _slot(address: str) -> str:
    """``0000:1b:00.0`` and the kernel's ``0000:1b:00`` are the same GPU."""
    return address.lower().partition(".")[0]


def _stranger(name: str) -> _Gpu:
    """A GPU that is counted and not known: gone, or not yet read."""
    is_uuid = name.startswith(("GPU-", "MIG-"))
    return _Gpu(index="", uuid=name if is_uuid else "", pci="" if is_uuid else name)


def _text(fact: object) -> str:
    return "" if fact is None else str(fact)
