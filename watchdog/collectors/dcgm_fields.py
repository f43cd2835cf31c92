"""The fields of DCGM that are read: number, metric, factor to our unit, and every name that it had. A table; no I/O.

Numbers and names from DCGM's dcgm_fields.h: 4.6 gave many fields another name and kept the number, so a field is
looked up by number, and names of 3.x and 4.x lead to it. Metrics are named as NVML's (`GpuReading`) where it is the
same thing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

XID = 230
"""The last Xid, for ever: a second one of the same code does not show."""
_INT32_BLANK, _INT64_BLANK, _FLOAT_BLANK = 0x7FFF_FFF0, 0x7FFF_FFFF_FFFF_FFF0, 2.0**47
_NUM_BLANKS = 4
"""Blank, not found, not supported, not permitted: the first and the three after it (dcgm_structs.h)."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a GPU."""

    number: int
    metric: str
    names: tuple[str, ...]
    """Without ``DCGM_FI_DEV_``; with ``DCGM_FI_`` before ``PROF_``."""
    factor: float = 1.0
    is_own: bool = False
    """NVML gives nothing like it, so the metric needs no prefix."""


_MEGA, _MILLI, _NANO, _PERCENT, _MEBI = 1e6, 1e-3, 1e-9, 0.01, 2.0**20

_FIELDS = (
    Field(100, "sm_clock_hertz", ("SM_CLOCK",), _MEGA),
    Field(101, "memory_clock_hertz", ("MEM_CLOCK",), _MEGA),
    Field(112, "clock_event_reasons", ("CLOCKS_EVENT_REASONS", "CLOCK_THROTTLE_REASONS")),
    Field(140, "memory_temperature_celsius", ("MEMORY_TEMP_CELSIUS", "MEMORY_TEMP")),
    Field(150, "temperature_celsius", ("GPU_TEMP_CELSIUS", "GPU_TEMP")),
    Field(153, "temperature_margin_celsius", ("GPU_TEMP_MARGIN_CELSIUS", "GPU_TEMP_LIMIT")),
    Field(155, "power_watts", ("BOARD_POWER_WATTS", "POWER_USAGE")),
    Field(156, "energy_joules", ("TOTAL_ENERGY_CONSUMPTION",), _MILLI),
    Field(202, "pcie_replays_total", ("PCIE_REPLAY_TOTAL", "PCIE_REPLAY_COUNTER")),
    Field(203, "utilization_ratio", ("GPU_UTIL_RATIO", "GPU_UTIL"), _PERCENT),
    Field(204, "memory_utilization_ratio", ("MEM_COPY_UTIL",), _PERCENT),
    Field(XID, "xid", ("XID_ERROR", "XID_ERRORS")),
    Field(237, "pcie_generation", ("PCIE_LINK_GEN",)),
    Field(238, "pcie_width", ("PCIE_LINK_WIDTH",)),
    Field(240, "power_cap_seconds", ("POWER_VIOLATION",), _NANO),
    Field(241, "thermal_throttle_seconds", ("THERMAL_VIOLATION",), _NANO),
    Field(252, "memory_used_bytes", ("FB_USED",), _MEBI),
    Field(310, "ecc_corrected_total", ("ECC_SBE_VOL_TOTAL",)),
    Field(311, "ecc_uncorrected_total", ("ECC_DBE_VOL_TOTAL",)),
    Field(388, "remap_banks_low", ("BANK_REMAP_AVAIL_LOW", "BANKS_REMAP_ROWS_AVAIL_LOW")),
    Field(389, "remap_banks_none", ("BANK_REMAP_AVAIL_NONE", "BANKS_REMAP_ROWS_AVAIL_NONE")),
    Field(393, "remapped_rows_uncorrected", ("ROW_REMAP_UNCORRECTABLE_TOTAL", "UNCORRECTABLE_REMAPPED_ROWS")),
    Field(394, "remapped_rows_corrected", ("ROW_REMAP_CORRECTABLE_TOTAL", "CORRECTABLE_REMAPPED_ROWS")),
    Field(395, "remap_failed", ("ROW_REMAP_FAILED", "ROW_REMAP_FAILURE")),
    Field(396, "remap_pending", ("ROW_REMAP_PENDING",)),
    Field(409, "nvlink_crc_flit_errors_total", ("NVLINK_CRC_FLIT_ERROR_TOTAL", "NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL")),
    Field(419, "nvlink_crc_data_errors_total", ("NVLINK_CRC_DATA_ERROR_TOTAL", "NVLINK_CRC_DATA_ERROR_COUNT_TOTAL")),
    Field(429, "nvlink_replay_errors_total", ("NVLINK_REPLAY_ERROR_TOTAL", "NVLINK_REPLAY_ERROR_COUNT_TOTAL")),
    Field(439, "nvlink_recovery_errors_total", ("NVLINK_RECOVERY_ERROR_TOTAL", "NVLINK_RECOVERY_ERROR_COUNT_TOTAL")),
    Field(1523, "recovery_action", ("GPU_RECOVERY_ACTION", "GET_GPU_RECOVERY_ACTION")),
    Field(1001, "graphics_active_ratio", ("PROF_GR_ENGINE_UTIL_RATIO", "PROF_GR_ENGINE_ACTIVE"), is_own=True),
    Field(1002, "sm_active_ratio", ("PROF_SM_UTIL_RATIO", "PROF_SM_ACTIVE"), is_own=True),
    Field(1003, "sm_occupancy_ratio", ("PROF_SM_OCCUPANCY_RATIO", "PROF_SM_OCCUPANCY"), is_own=True),
    Field(1004, "tensor_active_ratio", ("PROF_TENSOR_UTIL_RATIO", "PROF_PIPE_TENSOR_ACTIVE"), is_own=True),
    Field(1005, "dram_active_ratio", ("PROF_DRAM_UTIL_RATIO", "PROF_DRAM_ACTIVE"), is_own=True),
    Field(1009, "pcie_tx_bytes_per_second", ("PROF_PCIE_TX_BYTES",)),
    Field(1010, "pcie_rx_bytes_per_second", ("PROF_PCIE_RX_BYTES",)),
    Field(1011, "nvlink_tx_bytes_per_second", ("PROF_NVLINK_TX_BYTES",), is_own=True),
    Field(1012, "nvlink_rx_bytes_per_second", ("PROF_NVLINK_RX_BYTES",), is_own=True),
)

FIELDS: Mapping[int, Field] = MappingProxyType({field.number: field for field in _FIELDS})
"""By number."""
_BY_NAME = {
    (f"DCGM_FI_{name}" if name.startswith("PROF_") else f"DCGM_FI_DEV_{name}"): field
    for field in _FIELDS
    for name in field.names
}


def field_of(name: str) -> Field | None:
    """The field that ``DCGM_FI_DEV_GPU_TEMP``, its name of another version, or ``150`` means; None for others."""
    return FIELDS.get(int(name)) if name.isdigit() else _BY_NAME.get(name)


def is_blank(value: float) -> bool:
    """DCGM's way to say "none": a value at the end of its type's range. As a float, those of 64 bits are 2**63."""
    if value >= float(_INT64_BLANK):
        return True
    return any(blank <= value < blank + _NUM_BLANKS for blank in (_INT32_BLANK, _FLOAT_BLANK))
