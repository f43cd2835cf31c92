"""Every collector that is called periodically, by name: the name in settings, metrics and docs/collectors.md.

The kernel log's (`kmsg`) is not here: it waits for lines by itself, and whoever makes it gives it the cursor that the
store keeps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from watchdog.collectors import (
    Collector,
    clock_skew,
    dcgm,
    dcgmi,
    gpus,
    host_node,
    infiniband,
    pcie,
    storage,
)
from watchdog.simulator.node import SimulatedNode

_MARGIN_SECONDS = 5.0
"""Between the longest wait that the settings allow a collector and the deadline of its call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorSpec:
    """A collector as the daemon and `fryer scan` make it."""

    summary: str
    """One line: what it reads, and from where."""
    period_seconds: float
    deadline_seconds: float
    """A call that takes longer is told as failing."""
    settings: type[Any]
    """Frozen dataclass, filled from `[watchdog.collectors.NAME]`."""
    make: Callable[[Any, str, SimulatedNode | None], Collector]
    """(settings, node, scenario in place of the hardware or None). Neither reads nor starts anything."""

    def deadline_for(self, settings: Any) -> float:
        """The deadline in seconds, with room for a longer wait that `settings` allow."""
        return max(self.deadline_seconds, getattr(settings, "deadline_seconds", 0.0) + _MARGIN_SECONDS)


COLLECTORS: Mapping[str, CollectorSpec] = MappingProxyType(
    {
        "nvml": CollectorSpec(
            summary="GPUs through NVML in a child process: readings, Xids, silence",
            period_seconds=1.0,
            deadline_seconds=10.0,
            settings=gpus.Settings,
            make=lambda settings, node, simulated: gpus.Gpus(node, settings, simulated),
        ),
        "dcgm": CollectorSpec(
            summary="GPUs as dcgm-exporter shows them: a second opinion, tensor and memory activity",
            period_seconds=30.0,
            deadline_seconds=10.0,
            settings=dcgm.Settings,
            make=lambda settings, node, _simulated: dcgm.Dcgm(node, settings),
        ),
        "dcgmi": CollectorSpec(
            summary="DCGM's own health watches through the program dcgmi",
            period_seconds=60.0,
            deadline_seconds=25.0,
            settings=dcgmi.Settings,
            make=lambda settings, node, _simulated: dcgmi.Dcgmi(node, settings),
        ),
        "infiniband": CollectorSpec(
            summary="InfiniBand and RoCE ports from sysfs: state, rate, error counters",
            period_seconds=10.0,
            deadline_seconds=5.0,
            settings=infiniband.Settings,
            make=lambda settings, node, _simulated: infiniband.Infiniband(node, settings),
        ),
        "pcie": CollectorSpec(
            summary="PCIe links of GPUs, network adapters, NVSwitches, NVMe drives: width, generation, AER counters",
            period_seconds=30.0,
            deadline_seconds=10.0,
            settings=pcie.Settings,
            make=lambda settings, node, _simulated: pcie.Pcie(node, settings),
        ),
        "host": CollectorSpec(
            summary="Processors, memory, pressure, stuck processes and memory errors of the host",
            period_seconds=10.0,
            deadline_seconds=5.0,
            settings=host_node.Settings,
            make=lambda settings, node, _simulated: host_node.HostNode(node, settings),
        ),
        "storage": CollectorSpec(
            summary="Fill, latency and silence of configured folders, each touched by a child process",
            period_seconds=60.0,
            deadline_seconds=15.0,
            settings=storage.Settings,
            make=lambda settings, node, _simulated: storage.Storage(node, settings),
        ),
        "clock": CollectorSpec(
            summary="How far the clock may be off, and steps that it made: chrony's word, else the kernel's",
            period_seconds=60.0,
            deadline_seconds=10.0,
            settings=clock_skew.Settings,
            make=lambda settings, node, _simulated: clock_skew.ClockSkew(node, settings),
        ),
    }
)
"""Every periodic collector by name."""
