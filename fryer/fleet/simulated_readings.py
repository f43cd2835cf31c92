"""What NVML and the host show on a simulated node, as readings. Pure.

Healthy GPUs share a few variants of their numbers: a fleet has tens of thousands of them, and nobody looks at the
third digit of a healthy temperature. A GPU with a fault shows what the scenario says at each second.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import ceil
from typing import Any

from watchdog.collectors.readings import GpuReading, HostReading
from watchdog.simulator.model import GpuState, gpu_state
from watchdog.simulator.parts import PARTS
from watchdog.simulator.scenario import Scenario

NUM_VARIANTS = 16
LEAST_READINGS = 4
READINGS_PER_SECOND = 0.05
"""Of a healthy GPU: what `fryer.judges.limits` asks for, and no more."""
MOST_LOOKS = 600
"""Of a GPU with a fault: once a second, and in long runs as often as this allows."""
_MEMORY_USED_RATIO = 0.9


def look_times(seconds: float, *, is_faulty: bool) -> tuple[float, ...]:
    """When a GPU is looked at, on the run's clock: evenly, the ends among them."""
    num = ceil(READINGS_PER_SECOND * seconds) + 1
    if is_faulty:
        num = min(MOST_LOOKS, ceil(seconds) + 1)
    num = max(LEAST_READINGS, num)
    return tuple(seconds * place / (num - 1) for place in range(num))


class HealthyReadings:
    """Readings of GPUs without a fault."""

    def __init__(self, scenario: Scenario, begin_seconds: float, seconds: float) -> None:
        """`begin_seconds`: of the run, on the scenario's clock."""
        self._scenario = replace(scenario, faults=())
        self._begin = begin_seconds
        self._times = look_times(seconds, is_faulty=False)
        self._variants: dict[int, tuple[Mapping[str, Any], ...]] = {}

    def of(self, uuid: str, variant: int) -> tuple[GpuReading, ...]:
        """All looks at one GPU; `variant` is any number."""
        number = variant % NUM_VARIANTS
        if number not in self._variants:
            self._variants[number] = tuple(
                values(gpu_state(self._scenario, "healthy", number, self._begin + at), at, self._scenario)
                for at in self._times
            )
        return tuple([GpuReading(uuid=uuid, **each) for each in self._variants[number]])


def faulty_readings(
    scenario: Scenario, node: str, index: int, uuid: str, begin_seconds: float, seconds: float
) -> Iterator[GpuReading]:
    """Looks at one GPU of a scenario; none any more from a hung one."""
    for at in look_times(seconds, is_faulty=True):
        state = gpu_state(scenario, node, index, begin_seconds + at)
        if state.is_hung:
            return
        if state.is_lost:
            yield GpuReading(uuid=uuid, at_seconds=at, lost=True)
        else:
            yield GpuReading(uuid=uuid, **values(state, at, scenario))


def values(state: GpuState, at_seconds: float, scenario: Scenario) -> dict[str, Any]:
    """The fields of a reading, without the UUID: in NVML's whole degrees, under a full load."""
    part = PARTS[scenario.fleet.part]
    return {
        "at_seconds": at_seconds,
        "power_watts": round(state.power_watts, 3),
        "energy_joules": round(state.energy_joules, 3),
        "temperature_celsius": float(round(state.temperature_celsius)),
        "memory_temperature_celsius": float(round(state.memory_temperature_celsius)),
        "temperature_margin_celsius": float(round(state.margin_celsius)) if part.has_margin else None,
        "sm_clock_hertz": state.sm_clock_hertz,
        "memory_clock_hertz": part.memory_clock_hertz,
        "clock_event_reasons": state.reasons,
        "thermal_throttle_seconds": state.thermal_seconds,
        "power_brake_seconds": state.power_brake_seconds,
        "utilization_ratio": 1.0,
        "memory_used_bytes": int(part.memory_bytes * _MEMORY_USED_RATIO),
        "ecc_corrected_total": state.ecc_corrected,
        "ecc_uncorrected_total": state.ecc_uncorrected,
        "remapped_rows_corrected": state.remapped_corrected,
        "remapped_rows_uncorrected": state.remapped_uncorrected,
        "remap_pending": state.remap_pending,
        "remap_failed": state.remap_failed,
        "pcie_generation": state.pcie_generation,
        "pcie_width": state.pcie_width,
        "pcie_replays_total": 0,
        "nvlink_errors_total": state.nvlink_errors if part.nvlinks else None,
        "recovery_action": state.recovery_action,
    }


def host_readings(seconds: float) -> tuple[HostReading, ...]:
    """Looks at a host that does nothing else."""
    return tuple(
        HostReading(
            at_seconds=at,
            pressure_some_ratio=0.02,
            others_ratio=0.01,
            steal_ratio=0.0,
            clock_hertz=2.6e9,
            memory_available_bytes=1 << 40,
        )
        for at in (0.0, seconds)
    )
