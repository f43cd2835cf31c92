"""Pure judges, one failure mode a file: no clock, no I/O, no log, no memory between calls.

To add one: write `watchdog/detectors/NAME.py` with `CODES`, `Limits` and `detect`, list it in `DETECTORS`, add its
test and its row in docs/detectors.md.

Shared by all, and judging nothing: `reading` (what is asked of a window), `held` (how long a state lasts), `counters`
(how much a counter grew).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from watchdog.detectors import (
    baseline_drift,
    clock_limits,
    clock_skew,
    dcgm_health,
    disk_full,
    ecc,
    gpu_missing,
    gpu_stuck,
    host_memory,
    infiniband,
    kernel_events,
    nvlink,
    nvml_unresponsive,
    pcie_replay,
    pcie_width,
    power,
    recovery_action,
    row_remap,
    stale_collector,
    storage_slow,
    thermal_margin,
    xid,
)
from watchdog.vocabulary.findings import Finding
from watchdog.vocabulary.samples import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A judge of one failure mode."""

    summary: str
    """One line: what it finds."""
    limits: type[Any]
    """Frozen dataclass of thresholds, filled from `[watchdog.detectors.NAME]` of the settings."""
    detect: Callable[[Window, Any], Sequence[Finding]]
    """(window, limits) -> what is wrong, or not known, at `window.now`; nothing where all is well."""
    codes: tuple[str, ...] = ()
    """Codes of its findings; ``*`` stands for a number or a word of the event."""


def _of(module: Any, summary: str) -> Detector:
    return Detector(summary=summary, limits=module.Limits, detect=module.detect, codes=module.CODES)


DETECTORS: Mapping[str, Detector] = MappingProxyType(
    {
        "recovery_action": _of(recovery_action, "a GPU for which the driver itself asks for a reset, drain or reboot"),
        "xid": _of(xid, "Xids of GPUs and SXids of NVSwitches, an application's error never more than a warning"),
        "gpu_missing": _of(gpu_missing, "a GPU that is lost, no longer read, or was never there"),
        "nvml_unresponsive": _of(nvml_unresponsive, "a driver or GPU whose NVML calls do not return"),
        "ecc": _of(ecc, "new uncorrectable memory errors, a stream of corrected ones, SRAM due for replacement"),
        "row_remap": _of(row_remap, "rows of HBM whose remapping failed or waits, and spares that run out"),
        "clock_limits": _of(clock_limits, "clocks held down by heat, power brake or hardware, or low for no reason"),
        "thermal_margin": _of(thermal_margin, "a GPU or its memory close to slowing down by heat"),
        "power": _of(power, "power far below the neighbours' under load, above the limit, or a limit below theirs"),
        "nvlink": _of(nvlink, "NVLink errors, links that are down, a fabric that is not ready"),
        "pcie_replay": _of(pcie_replay, "more PCIe replays than the link's generation and width allow"),
        "pcie_width": _of(pcie_width, "a PCIe link of fewer lanes or lower generation than it can do, under load"),
        "infiniband": _of(infiniband, "ports down, flapping or slow, error rates, counters that stick"),
        "gpu_stuck": _of(gpu_stuck, "a GPU that is busy and does nothing, as in a collective that does not end"),
        "baseline_drift": _of(baseline_drift, "a GPU slower or hotter than at its own burn-in"),
        "kernel_events": _of(kernel_events, "what the kernel reported of PCIe, memory, CPUs, disks and NICs"),
        "dcgm_health": _of(dcgm_health, "what DCGM's own health watches say, as a second opinion"),
        "host_memory": _of(host_memory, "memory that runs out, stalls, swapping, processes that can't be ended"),
        "disk_full": _of(disk_full, "a disk that is full, or will be soon at its present pace"),
        "storage_slow": _of(storage_slow, "storage far slower than itself, hardly answering, or failing"),
        "clock_skew": _of(clock_skew, "a clock that is off, was set at once, or runs free"),
        "stale_collector": _of(stale_collector, "a collector without a success: what it reads is unknown"),
    }
)
"""Every detector by name, in the order in which findings of equal gravity are shown: the driver's own word first, what
is broken before what is slow, GPUs before the host."""
