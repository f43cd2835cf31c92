"""Series about the host, its disks, its network devices and its clock."""

from collections.abc import Iterator, Mapping

from watchdog.exporter.freshness import fresh_rows
from watchdog.exporter.metrics import Point
from watchdog.state import State
from watchdog.vocabulary.subjects import Kind

Table = Mapping[str, tuple[str, tuple[str, ...]]]
"""Value of a row -> family, and the labels that come after those of the subject."""

HOST: Table = {
    "cpu_busy_ratio": ("host_cpu_busy_ratio", ()),
    "cpu_io_wait_ratio": ("host_cpu_io_wait_ratio", ()),
    "cpu_steal_ratio": ("host_cpu_steal_ratio", ()),
    "load_1m": ("host_load", ()),
    "uptime_seconds": ("host_uptime_seconds", ()),
    "cpu_pressure_ratio": ("host_pressure_ratio", ("cpu", "some")),
    "memory_pressure_ratio": ("host_pressure_ratio", ("memory", "some")),
    "memory_pressure_full_ratio": ("host_pressure_ratio", ("memory", "all")),
    "io_pressure_ratio": ("host_pressure_ratio", ("io", "some")),
    "io_pressure_full_ratio": ("host_pressure_ratio", ("io", "all")),
    "memory_available_bytes": ("host_memory_available_bytes", ()),
    "memory_total_bytes": ("host_memory_total_bytes", ()),
    "memory_dirty_bytes": ("host_memory_dirty_bytes", ()),
    "swap_used_bytes": ("host_swap_used_bytes", ()),
    "swap_total_bytes": ("host_swap_total_bytes", ()),
    "oom_kills_total": ("host_oom_kills_total", ()),
    "memory_corrected_total": ("host_memory_errors_total", ("corrected",)),
    "memory_uncorrected_total": ("host_memory_errors_total", ("uncorrected",)),
    "processes_uninterruptible": ("host_processes_uninterruptible", ()),
    "processes_stuck": ("host_processes_stuck", ()),
    "clock_offset_seconds": ("clock_offset_seconds", ()),
    "clock_max_error_seconds": ("clock_max_error_seconds", ()),
    "clock_estimated_error_seconds": ("clock_estimated_error_seconds", ()),
    "clock_step_seconds": ("clock_step_seconds", ()),
    "clock_synchronised": ("clock_synchronised", ()),
    "nvml_silent_seconds": ("nvml_silent_seconds", ()),
    "nvml_restarts_total": ("nvml_restarts_total", ()),
    "gpus_visible": ("gpus_visible", ()),
    "nic_ports_visible": ("nic_ports", ()),
    "dcgm_health": ("dcgm_health", ()),
    "gpus_on_bus": ("pci_devices", ("gpu",)),
    "nics_on_bus": ("pci_devices", ("nic",)),
    "switches_on_bus": ("pci_devices", ("switch",)),
    "nvmes_on_bus": ("pci_devices", ("nvme",)),
}
"""Of a node's row."""

DISK: Table = {
    "free_bytes": ("disk_free_bytes", ()),
    "total_bytes": ("disk_total_bytes", ()),
    "free_inodes": ("disk_free_inodes", ()),
    "total_inodes": ("disk_total_inodes", ()),
    "probe_failed": ("disk_probe_failed", ()),
    "storage_silent_seconds": ("disk_silent_seconds", ()),
    "read_latency_seconds": ("disk_latency_seconds", ("read",)),
    "write_latency_seconds": ("disk_latency_seconds", ("write",)),
    "metadata_latency_seconds": ("disk_latency_seconds", ("metadata",)),
}
"""Of a disk's row, after ``disk``."""

_TROUBLE = (
    "transmit_discards",
    "vl15_dropped",
    "out_of_sequence",
    "ack_timeouts",
    "out_of_buffer",
    "roce_adaptive_retransmits",
)
"""Counters of a port that are errors and are not named so."""

NIC: Table = {
    "link_up": ("nic_link_up", ()),
    "rate_bytes_per_second": ("nic_rate_bytes_per_second", ()),
    "link_downed_total": ("nic_link_downed_total", ()),
    "receive_bytes_total": ("nic_bytes_total", ("receive",)),
    "transmit_bytes_total": ("nic_bytes_total", ("transmit",)),
    "congestion_notifications_sent_total": ("nic_congestion_notifications_total", ("sent",)),
    "congestion_notifications_handled_total": ("nic_congestion_notifications_total", ("handled",)),
    "transmit_wait_ticks_total": ("nic_transmit_wait_ticks_total", ()),
    "saturated_counters": ("nic_saturated_counters", ()),
    **{f"{name}_total": ("nic_errors_total", (name,)) for name in _TROUBLE},
}
"""Of a network port's row, after ``device`` and ``port``. Any other ``KIND_errors_total`` is an error of that kind."""

LINK: Table = {
    "pcie_generation": ("pcie_generation", ()),
    "pcie_width": ("pcie_width", ()),
}
"""Of a row of a device on the PCI bus that is no GPU, after ``kind`` and ``device``."""

AER: Table = {
    "aer_correctable_total": ("pcie_aer_errors_total", ("correctable",)),
    "aer_nonfatal_total": ("pcie_aer_errors_total", ("nonfatal",)),
    "aer_fatal_total": ("pcie_aer_errors_total", ("fatal",)),
    "aer_upstream_correctable_total": ("pcie_aer_errors_total", ("upstream_correctable",)),
}
"""Of any row of a device on the PCI bus, after ``kind`` and ``device``."""

_ON_BUS: tuple[Kind, ...] = ("gpu", "nic", "disk", "switch")


def machine_points(state: State) -> Iterator[Point]:
    """Everything about the machine around the GPUs."""
    for row in fresh_rows(state, "node"):
        yield from _named(HOST, (), row.values)
    for row in fresh_rows(state, "disk"):
        yield from _named(DISK, (row.subject.name,), row.values)
    for row in fresh_rows(state, "nic"):
        device, _, port = row.subject.name.partition(":")
        yield from _named(NIC, (device, port), row.values)
        yield from _errors((device, port), row.values)
    for kind in _ON_BUS:
        for row in fresh_rows(state, kind):
            yield from _named(AER if kind == "gpu" else {**AER, **LINK}, (kind, row.subject.name), row.values)


def _named(table: Table, who: tuple[str, ...], values: Mapping[str, float]) -> Iterator[Point]:
    for name, (family, labels) in table.items():
        if name in values:
            yield Point(f"fryer_{family}", (*who, *labels), values[name])


def _errors(who: tuple[str, str], values: Mapping[str, float]) -> Iterator[Point]:
    """``symbol_errors_total`` -> ``symbol``."""
    for name, value in values.items():
        if name not in NIC and name.endswith("_errors_total"):
            yield Point("fryer_nic_errors_total", (*who, name.removesuffix("_errors_total")), value)
