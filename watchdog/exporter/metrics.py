"""The catalogue: every metric family with its kind, labels and meaning. Rules, dashboards and docs name only these.

Names follow https://prometheus.io/docs/practices/naming: prefix, base unit last, ``_total`` for counters, ratios 0 to
1; ``_info`` and state sets are gauges of 0 and 1. A GPU is ``gpu`` (its index, for people) and ``uuid`` (for joins: an
index moves when a GPU falls off). There is no node label: Prometheus' own ``instance`` is that.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Family:
    """One metric name."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Point:
    """One series now."""

    family: str
    labels: tuple[str, ...]
    value: float


def _gauge(name: str, text: str, *labels: str) -> Family:
    return Family(f"fryer_{name}", "gauge", text, labels)


def _counter(name: str, text: str, *labels: str) -> Family:
    return Family(f"fryer_{name}", "counter", text, labels)


_DAEMON = (
    _gauge("build_info", "The daemon: always 1. Its absence is the alert.", "version", "node"),
    _gauge("start_timestamp_seconds", "When the daemon started."),
    _gauge("state_timestamp_seconds", "When the state that this page shows was made; old when the loop stands still."),
    _gauge(
        "health_state",
        "1 for the state that a component is in: node is the whole, the others are kinds of parts.",
        "component",
        "state",
    ),
    _gauge("findings", "What is wrong or not known now, by detector.", "source", "code", "severity"),
    _gauge("incidents", "Incidents by state; closed ones count for a day.", "state"),
    _gauge("incident_repeats", "Most earlier incidents with the same root and code among the open ones."),
    _gauge(
        "signal_active", "1 for what the daemon asks of the run now, or in mode observed would ask.", "action", "mode"
    ),
    _counter("signals_total", "Signals given, by what they asked.", "action"),
    _gauge("collector_missing", "1 where this machine has no such source.", "collector"),
    _gauge(
        "collector_up", "1 when the last call succeeded; absent for a missing source, or before a call.", "collector"
    ),
    _gauge("collector_period_seconds", "How often it is called; 0: it waits for something to happen.", "collector"),
    _gauge("collector_duration_seconds", "Time of the last call.", "collector"),
    _gauge("collector_last_success_timestamp_seconds", "End of the last call that succeeded.", "collector"),
    _counter("collector_calls_total", "Calls.", "collector"),
    _counter("collector_failures_total", "Calls that failed.", "collector"),
    _counter("kmsg_lost_records_total", "Kernel records overwritten before they were read."),
    _counter("nvml_restarts_total", "NVML readers replaced because they did not answer."),
    _counter("store_rows_dropped_total", "Readings given up because the store did not keep up."),
    _counter("store_items_refused_total", "Items that the store could not write."),
    _counter("store_refused_total", "Batches that the store did not take."),
    _counter("drain_failures_total", "Drains that Slurm refused or that failed."),
    _counter("api_rejected_total", "Requests refused for size, rate, form or token."),
)

_GPU = ("gpu", "uuid")
_GPUS = (
    _gauge("gpus", "GPUs that answer."),
    _gauge("gpus_visible", "GPUs that the driver showed when NVML was opened."),
    _gauge(
        "gpu_info",
        "Who a GPU is: always 1.",
        *_GPU,
        "pci",
        "part",
        "serial",
        "driver",
    ),
    _gauge("gpu_health_state", "1 for the state that a GPU is in.", *_GPU, "state"),
    _counter("gpu_xid_events_total", "Xid errors since the store began.", *_GPU, "pci", "xid"),
    _gauge("gpu_xid_last_timestamp_seconds", "When this Xid came last.", *_GPU, "pci", "xid"),
    _counter("switch_sxid_events_total", "SXid errors of an NVSwitch since the store began.", "pci", "sxid"),
    _gauge("switch_sxid_last_timestamp_seconds", "When this SXid came last.", "pci", "sxid"),
    _gauge("gpu_lost", "1 when the driver says that the GPU is lost or needs a reset.", *_GPU),
    _gauge("gpu_nvml_silent_seconds", "How long NVML has not answered about a GPU.", *_GPU),
    _gauge("nvml_silent_seconds", "How long NVML as a whole has not answered."),
    _gauge("gpu_recovery_action", "1 for the repair that the driver asks for (NVML field 230).", *_GPU, "action"),
    _gauge("gpu_temperature_celsius", "Temperature.", *_GPU, "sensor"),
    _gauge("gpu_thermal_margin_celsius", "Degrees left to the nearest slowdown threshold.", *_GPU),
    _gauge("gpu_power_watts", "Power drawn.", *_GPU),
    _gauge("gpu_power_limit_watts", "Power limit in force.", *_GPU),
    _counter("gpu_energy_joules_total", "Energy since the driver was loaded.", *_GPU),
    _gauge("gpu_clock_hertz", "Clock now.", *_GPU, "domain"),
    _gauge("gpu_sm_clock_max_hertz", "Highest SM clock.", *_GPU),
    _gauge("gpu_clock_limited", "1 for each reason that holds the clock now; idle is one.", *_GPU, "reason"),
    _counter("gpu_clock_limit_seconds_total", "Time that a reason held the clock down.", *_GPU, "reason"),
    _gauge("gpu_utilization_ratio", "Share of time with work.", *_GPU, "unit"),
    _gauge("gpu_memory_used_bytes", "Memory in use.", *_GPU),
    _gauge("gpu_memory_total_bytes", "Memory.", *_GPU),
    _counter("gpu_ecc_errors_total", "Memory errors since the driver was loaded.", *_GPU, "kind"),
    _gauge("gpu_remapped_rows", "Memory rows replaced by spares, ever.", *_GPU, "cause"),
    _gauge("gpu_row_remap_pending", "1 when a replaced row waits for a reset.", *_GPU),
    _gauge("gpu_row_remap_failed", "1 when a row ever could not be replaced.", *_GPU),
    _gauge("gpu_sram_threshold_exceeded", "1 when uncorrectable SRAM errors passed NVIDIA's limit.", *_GPU),
    _gauge("gpu_row_remap_banks", "Memory banks by how many spare rows are left.", *_GPU, "spare"),
    _counter("gpu_nvlink_errors_total", "NVLink CRC, replay and recovery errors over all links.", *_GPU),
    _gauge("gpu_nvlink_links", "NVLink links that the GPU has.", *_GPU),
    _gauge("gpu_nvlink_links_up", "NVLink links that are up.", *_GPU),
    _gauge("gpu_fabric_state", "NVLink fabric: 0 unsupported, 1 not started, 2 in progress, 3 completed.", *_GPU),
    _gauge("gpu_fabric_status", "NVML's return code of the registration; 0 is success.", *_GPU),
    _gauge("gpu_fabric_health", "NVLink fabric: 1 healthy, 2 unhealthy, 3 limited capacity.", *_GPU),
    _gauge("gpu_pcie_generation", "PCIe generation now; falls when idle.", *_GPU),
    _gauge("gpu_pcie_generation_max", "PCIe generation that the link can do.", *_GPU),
    _gauge("gpu_pcie_width", "PCIe lanes now.", *_GPU),
    _gauge("gpu_pcie_width_max", "PCIe lanes that the link can do.", *_GPU),
    _counter("gpu_pcie_replays_total", "PCIe packets sent again.", *_GPU),
    _gauge("gpu_pcie_bytes_per_second", "PCIe traffic as the GPU sees it.", *_GPU, "direction"),
    _gauge("gpu_nvlink_bytes_per_second", "NVLink traffic, where DCGM gives it.", *_GPU, "direction"),
    _gauge("gpu_activity_ratio", "Share of time that a unit was active, where DCGM gives it.", *_GPU, "unit"),
    _gauge("gpu_dcgm_health", "DCGM's own verdict: 0 healthy, 1 warning, 2 failure.", *_GPU),
    _gauge("gpu_read_seconds", "How long the driver took to answer about a GPU.", *_GPU),
)

_MACHINE = (
    _gauge("host_cpu_busy_ratio", "Share of processor time that was used."),
    _gauge("host_cpu_io_wait_ratio", "Share of processor time idle while a disk was waited for."),
    _gauge("host_cpu_steal_ratio", "Share of processor time that the hypervisor gave to others."),
    _gauge("host_load", "Load average over a minute."),
    _gauge("host_uptime_seconds", "Since the boot."),
    _gauge("host_pressure_ratio", "Share of time in which some, or all, tasks waited.", "resource", "tasks"),
    _gauge("host_memory_available_bytes", "Memory that programs can still get."),
    _gauge("host_memory_total_bytes", "Memory."),
    _gauge("host_memory_dirty_bytes", "Memory that waits to be written to disk."),
    _gauge("host_swap_used_bytes", "Swap in use."),
    _gauge("host_swap_total_bytes", "Swap."),
    _counter("host_oom_kills_total", "Processes that the kernel killed for want of memory, since the boot."),
    _counter("host_memory_errors_total", "Errors of the host's memory since the boot (EDAC).", "kind"),
    _gauge("host_processes_uninterruptible", "Processes in state D."),
    _gauge("host_processes_stuck", "Processes in state D at two looks in a row."),
    _gauge("dcgm_health", "DCGM's own verdict on the node: 0 healthy, 1 warning, 2 failure."),
    _gauge("pci_devices", "Devices on the PCI bus, whether a driver serves them or not.", "kind"),
    _gauge("pcie_generation", "PCIe generation now, of what is not a GPU.", "kind", "device"),
    _gauge("pcie_width", "PCIe lanes now, of what is not a GPU.", "kind", "device"),
    _counter("pcie_aer_errors_total", "PCIe errors (AER) since the boot.", "kind", "device", "severity"),
    _gauge("clock_offset_seconds", "How far the clock is from true time; positive: it is ahead."),
    _gauge("clock_max_error_seconds", "The most that the clock may be off."),
    _gauge("clock_estimated_error_seconds", "What the clock is likely off."),
    _gauge("clock_step_seconds", "How far the clock was set since the last look."),
    _gauge("clock_synchronised", "1 when something keeps the clock in step."),
    _gauge("disk_free_bytes", "Free space.", "disk"),
    _gauge("disk_total_bytes", "Space.", "disk"),
    _gauge("disk_free_inodes", "Files that can still be made.", "disk"),
    _gauge("disk_total_inodes", "Files that there can be.", "disk"),
    _gauge("disk_probe_failed", "1 when a small file could not be written and read back.", "disk"),
    _gauge("disk_silent_seconds", "How long the probe has been waiting for the disk.", "disk"),
    _gauge("disk_latency_seconds", "Time of the last probe.", "disk", "operation"),
    _gauge("nic_ports", "Ports of InfiniBand and RoCE devices."),
    _gauge("nic_link_up", "1 when the link is up.", "device", "port"),
    _gauge("nic_rate_bytes_per_second", "Rate of the link.", "device", "port"),
    _counter("nic_link_downed_total", "How often the link went down.", "device", "port"),
    _counter("nic_bytes_total", "Traffic.", "device", "port", "direction"),
    _counter("nic_congestion_notifications_total", "RoCE congestion notifications.", "device", "port", "direction"),
    _counter("nic_transmit_wait_ticks_total", "Time that data waited for credits, in ticks.", "device", "port"),
    _counter("nic_errors_total", "Errors, drops and retransmits of the link by kind.", "device", "port", "kind"),
    _gauge("nic_saturated_counters", "Error counters at their end, which count no more.", "device", "port"),
)

_RUNS = (
    _gauge("run_info", "A run that trains on this node: always 1.", "run", "stage"),
    _gauge("run_ranks", "Ranks on this node.", "run"),
    _gauge("run_world_size", "Ranks of the whole run.", "run"),
    _gauge("run_begun_timestamp_seconds", "When it began.", "run"),
    _gauge("run_step", "Newest step.", "run"),
    _gauge("run_last_step_timestamp_seconds", "When the newest step was reported.", "run"),
    _gauge("run_step_seconds", "Time of the newest step.", "run"),
    _gauge("run_tokens_per_second", "Tokens a second at the newest step.", "run"),
    _gauge("run_loss", "Loss of the newest step; may be NaN.", "run"),
    _gauge("run_grad_norm", "Gradient norm of the newest step; may be NaN.", "run"),
    _gauge("run_learning_rate", "Learning rate of the newest step.", "run"),
    _gauge("run_checkpoint_step", "Step of the newest checkpoint in a state.", "run", "state"),
)

METRICS: tuple[Family, ...] = (*_DAEMON, *_GPUS, *_MACHINE, *_RUNS)
"""All families, in the order in which they are printed."""

SECTIONS: tuple[tuple[str, tuple[Family, ...]], ...] = (
    ("The daemon", _DAEMON),
    ("GPUs and NVSwitches", _GPUS),
    ("Host, disks, network", _MACHINE),
    ("Training runs", _RUNS),
)
"""The same by chapter of docs/metrics.md."""
