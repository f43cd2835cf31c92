"""Series about the host, its disks, its network devices and its clock."""

from collections.abc import Iterator, Mapping

from watchdog.exporter.freshness import fresh_rows
from watchdog.exporter.metrics import Point
from watchdog.state import State

HOST: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "cpu_busy_ratio": ("host_cpu_busy_ratio", ()),
    "cpu_pressure_ratio": ("host_pressure_ratio", ("cpu",)),
    "memory_pressure_ratio": ("host_pressure_ratio", ("memory",)),
    "io_pressure_ratio": ("host_pressure_ratio", ("io",)),
    "memory_available_bytes": ("host_memory_available_bytes", ()),
    "memory_total_bytes": ("host_memory_total_bytes", ()),
    "swap_used_bytes": ("host_swap_used_bytes", ()),
    "processes_uninterruptible": ("host_processes_uninterruptible", ()),
    "clock_offset_seconds": ("clock_offset_seconds", ()),
    "nvml_silent_seconds": ("nvml_silent_seconds", ()),
}
"""Value of a node's row -> family and labels."""

DISK: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "free_bytes": ("disk_free_bytes", ()),
    "total_bytes": ("disk_total_bytes", ()),
    "read_latency_seconds": ("disk_latency_seconds", ("read",)),
    "write_latency_seconds": ("disk_latency_seconds", ("write",)),
}
"""Value of a disk's row -> family, and its labels after ``disk``."""

NIC: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "link_up": ("nic_link_up", ()),
    "rate_bytes_per_second": ("nic_rate_bytes_per_second", ()),
    "link_downed_total": ("nic_link_downed_total", ()),
    "receive_bytes_total": ("nic_bytes_total", ("receive",)),
    "transmit_bytes_total": ("nic_bytes_total", ("transmit",)),
}
"""Value of a network device's row -> family, and its labels after ``device`` and ``port``."""


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


def _named(
    table: Mapping[str, tuple[str, tuple[str, ...]]], who: tuple[str, ...], values: Mapping[str, float]
) -> Iterator[Point]:
    for name, (family, labels) in table.items():
        if name in values:
            yield Point(f"fryer_{family}", (*who, *labels), values[name])


def _errors(who: tuple[str, str], values: Mapping[str, float]) -> Iterator[Point]:
    """Each other error counter of the link is a kind: ``symbol_errors_total`` -> ``symbol``."""
    for name, value in values.items():
        if name not in NIC and name.endswith("_errors_total"):
            yield Point("fryer_nic_errors_total", (*who, name.removesuffix("_errors_total")), value)
