"""The fields of NVML's batched read: numbers, names and factors to our units. A table; it asks for nothing."""

from collections.abc import Mapping
from types import MappingProxyType

MAX_LINKS = 18
"""`NVML_NVLINK_MAX_LINKS`; a link that a GPU does not have is answered with an error, and not asked for again."""
_LINK_STATE = 165
LINKS_UP = tuple(f"nvlink_{link}" for link in range(MAX_LINKS))
"""1 where the link is up, 0 where it is down."""
NVLINK_ERRORS = ("nvlink_crc_flit", "nvlink_crc_data", "nvlink_replay", "nvlink_recovery")
"""Totals over all links of a GPU."""
SLOWDOWNS = ("thermal_software", "thermal_hardware")
PCIE_BYTES = ("pcie_tx_bytes_total", "pcie_rx_bytes_total")

FIELDS: Mapping[tuple[int, int], tuple[str, float]] = MappingProxyType(
    {
        (38, 0): ("nvlink_crc_flit", 1),
        (45, 0): ("nvlink_crc_data", 1),
        (52, 0): ("nvlink_replay", 1),
        (59, 0): ("nvlink_recovery", 1),
        (74, 0): ("power_cap_seconds", 1e-9),
        (82, 0): ("memory_temperature_celsius", 1),
        (83, 0): ("energy_joules", 1e-3),
        (142, 0): ("remapped_rows_corrected", 1),
        (143, 0): ("remapped_rows_uncorrected", 1),
        (144, 0): ("remap_pending", 1),
        (145, 0): ("remap_failed", 1),
        (186, 0): ("power_watts", 1e-3),
        (197, 0): ("pcie_tx_bytes_total", 1),
        (198, 0): ("pcie_rx_bytes_total", 1),
        (230, 0): ("recovery_action", 1),
        (269, 0): ("thermal_software", 1e-9),
        (270, 0): ("thermal_hardware", 1e-9),
        (271, 0): ("power_brake_seconds", 1e-9),
    }
)
"""(field, scope) -> what it is, and the factor from NVML's unit, mJ, mW, ns, to ours (nvml.h, NVML_FI_DEV_*)."""

LINK_FIELDS: Mapping[tuple[int, int], tuple[str, float]] = MappingProxyType(
    {(_LINK_STATE, link): (name, 1) for link, name in enumerate(LINKS_UP)}
)
"""Likewise, apart from the others: the driver may be asked once for each link."""

MEMBERS: Mapping[int, str] = MappingProxyType(
    {0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal", 6: "usVal"}
)
"""`nvmlValueType_t` -> member of the union; a signed value read as unsigned shows -5 as 4294967291."""
LONG_TYPES = (2, 3, 4)
"""Types of 64 bits: a byte counter of 32 wraps twice a second on a fast link, and its rate would be a lie."""
