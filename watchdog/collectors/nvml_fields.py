"""The NVML fields of one batched read, and how they become items of a `GpuReading`. Pure; imports no pynvml.

Numbers and units: nvml.h, NVML_FI_DEV_*.
"""

from collections.abc import Mapping
from typing import Any

Field = tuple[int, int]
"""Field number and scope: 0, or the NVLink that is meant."""

_MEMORY_TEMPERATURE, _ENERGY_MILLIJOULES = (82, 0), (83, 0)
_REMAPPED_CORRECTED, _REMAPPED_UNCORRECTED, _REMAP_PENDING, _REMAP_FAILED = (142, 0), (143, 0), (144, 0), (145, 0)
_POWER_MEAN, _POWER_INSTANT = (185, 0), (186, 0)
_RECOVERY_ACTION = (230, 0)
_SOFTWARE_THERMAL, _HARDWARE_THERMAL, _POWER_BRAKE = (269, 0), (270, 0), (271, 0)
_THERMAL_POLICY = (75, 0)
"""Time under the thermal policy, for drivers that do not have 269 and 270 yet."""

FIELDS: tuple[Field, ...] = (
    _MEMORY_TEMPERATURE, _ENERGY_MILLIJOULES, _REMAPPED_CORRECTED, _REMAPPED_UNCORRECTED, _REMAP_PENDING, _REMAP_FAILED,
    _POWER_MEAN, _POWER_INSTANT, _RECOVERY_ACTION, _SOFTWARE_THERMAL, _HARDWARE_THERMAL, _POWER_BRAKE, _THERMAL_POLICY)
"""Asked of every GPU."""
NVLINK_TOTALS: tuple[Field, ...] = ((38, 0), (45, 0), (52, 0), (59, 0))
"""CRC errors of flits and of data, replays and recoveries, over all links."""
NVLINK_PER_LINK: tuple[Field, ...] = tuple((field, link) for field in (161, 162, 163) for link in range(18))
"""Replays, recoveries and CRC errors of one link (18 on Hopper), for drivers that give no totals."""

_NANO, _MILLI = 1e-9, 1e-3


def combine(values: Mapping[Field, float | None]) -> dict[str, Any]:
    """Items of a `GpuReading` by name, in base units; None where the fields behind an item gave nothing."""
    nvlink = [value for item, value in values.items() if item in NVLINK_TOTALS or item in NVLINK_PER_LINK]
    thermal = [values[item] for item in (_SOFTWARE_THERMAL, _HARDWARE_THERMAL) if values.get(item) is not None]
    power = values.get(_POWER_MEAN)
    return {
        "memory_temperature_celsius": values.get(_MEMORY_TEMPERATURE),
        "energy_joules": _times(values.get(_ENERGY_MILLIJOULES), _MILLI),
        "power_watts": _times(values.get(_POWER_INSTANT) if power is None else power, _MILLI),
        "remapped_rows_corrected": values.get(_REMAPPED_CORRECTED),
        "remapped_rows_uncorrected": values.get(_REMAPPED_UNCORRECTED),
        "remap_pending": _flag(values.get(_REMAP_PENDING)),
        "remap_failed": _flag(values.get(_REMAP_FAILED)),
        "recovery_action": values.get(_RECOVERY_ACTION),
        # both slowdowns may be in force at once, so their sum would count time twice: the longer one is sure
        "thermal_throttle_seconds": _times(max((t for t in thermal if t is not None),
                                               default=values.get(_THERMAL_POLICY)), _NANO),
        "power_brake_seconds": _times(values.get(_POWER_BRAKE), _NANO),
        # a sum with a part missing is no total
        "nvlink_errors_total": sum(v for v in nvlink if v is not None) if nvlink and None not in nvlink else None,
    }


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _flag(value: float | None) -> bool | None:
    return None if value is None else bool(value)
