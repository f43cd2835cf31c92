"""The values of `nvmlDeviceGetFieldValues` over a GPU's state: numbers, types and units as nvml.h has them. Pure."""

from collections.abc import Mapping

from watchdog.simulator.model import GpuState
from watchdog.simulator.parts import Part

DOUBLE, U32, U64, SIGNED = 0, 1, 3, 5
"""`nvmlValueType_t`."""
MEMBER: Mapping[int, str] = {DOUBLE: "dVal", U32: "uiVal", U64: "ullVal", SIGNED: "siVal"}
"""Member of the union that holds a type."""
ALL_LINKS = 0xFFFFFFFF
"""`scopeId` for the sum over all NVLinks."""
LINK_MEGABYTES = 26_562
"""`NVML_FI_DEV_NVLINK_GET_SPEED` of one NVLink 4, as H100 reports it, in MB/s."""

_LINK_KIBIBYTES_A_SECOND = 12e6
"""Traffic of one link under load, in each direction."""
_PCIE_BYTES_A_SECOND = 2e9
_SHUTDOWN_TLIMIT, _SLOWDOWN_TLIMIT, _TLIMIT = -8, -2, 0
"""T.Limit offsets of an H100: signed, degrees from the limit."""

_LINK_COUNTERS = (161, 162, 163)
"""NVLink replay, recovery and CRC errors, for one link or for all."""
_REPLAYS_TOTAL = 52
"""Errors of the scenario are replays, so that `count = 5` is 5 and not 5 of each kind."""
_LINK_TRAFFIC = (138, 139, 140, 141)
_LINK_SPEED, _LINK_STATE = 164, 165
_LINK_FIELDS = (*_LINK_COUNTERS, *_LINK_TRAFFIC, _LINK_SPEED, _LINK_STATE, 38, 45, 52, 59)


def field_value(field: int, scope: int, state: GpuState, part: Part) -> tuple[int, float] | None:
    """Type and value of a field; None for one that this part does not support. `scope` is a link, or `ALL_LINKS`."""
    if field in _LINK_FIELDS:
        return _link_value(field, scope, state, part)
    if field in (193, 194, 195, 196) and not part.has_margin:
        return None
    return _values(state).get(field)


def link_errors(state: GpuState, link: int) -> int:
    """Errors of one link: all of a GPU's are on its first, as with one bad cable."""
    return state.nvlink_errors if link == 0 else 0


def _values(state: GpuState) -> dict[int, tuple[int, float]]:
    milliwatts, seconds = round(state.power_watts * 1e3), state.at_seconds
    thermal, brake = (int(value * 1e9) for value in (state.thermal_seconds, state.power_brake_seconds))
    return {
        74: (U64, int(seconds * 1e9)),
        75: (U64, thermal),
        82: (U32, round(state.memory_temperature_celsius)),
        83: (U64, int(state.energy_joules * 1e3)),
        94: (U32, 0),
        95: (U32, 0),
        142: (U32, state.remapped_corrected),
        143: (U32, state.remapped_uncorrected),
        144: (U32, int(state.remap_pending)),
        145: (U32, int(state.remap_failed)),
        185: (U32, milliwatts),
        186: (U32, milliwatts),
        193: (SIGNED, _SHUTDOWN_TLIMIT),
        194: (SIGNED, _SLOWDOWN_TLIMIT),
        195: (SIGNED, _TLIMIT),
        196: (SIGNED, _TLIMIT),
        197: (U64, int(_PCIE_BYTES_A_SECOND * seconds)),
        198: (U64, int(_PCIE_BYTES_A_SECOND * seconds)),
        230: (U32, state.recovery_action),
        269: (U64, thermal),
        270: (U64, thermal),
        271: (U64, brake),
    }


def _link_value(field: int, scope: int, state: GpuState, part: Part) -> tuple[int, float] | None:
    if not part.nvlinks or (scope >= part.nvlinks and scope != ALL_LINKS):
        return None
    if field == _LINK_STATE:
        return U32, 1
    if field == _LINK_SPEED:
        return U32, LINK_MEGABYTES
    if field in _LINK_TRAFFIC:
        num_links = part.nvlinks if scope == ALL_LINKS else 1
        return U64, int(_LINK_KIBIBYTES_A_SECOND * state.at_seconds) * num_links
    if field in _LINK_COUNTERS:
        return U64, state.nvlink_errors if scope == ALL_LINKS else link_errors(state, scope)
    return U64, state.nvlink_errors if field == _REPLAYS_TOTAL else 0  # 38, 45, 52, 59: totals over all links
