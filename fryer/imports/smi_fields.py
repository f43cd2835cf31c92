"""Which fields of ``nvidia-smi -q`` are read, what they are called in text and in XML, and in which unit. Pure.

Names moved with drivers (Throttle Reasons became Event Reasons at R535, Pending Page Blacklist has a new name in R580),
so each metric lists all paths that it had. A path is that of the text, in lower case; XML tags map to the same metric.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fryer.imports.facts import Fact, Value
from fryer.imports.json_text import number

_NUMBER = re.compile(r"^(-?\d{1,18}(?:\.\d{1,6})?)\s*(.*)$")
_SCALES = {
    "": 1.0,
    "%": 0.01,
    "C": 1.0,
    "W": 1.0,
    "MHz": 1e6,
    "MiB": float(1 << 20),
    "x": 1.0,
    "bank(s)": 1.0,
}
_NONE = ("", "n/a", "not supported", "requested functionality has been deprecated")
UNREADABLE = re.compile(r"GPU is lost|requires reset|Unknown Error|ERR!", re.IGNORECASE)
"""What stands in place of a value that the driver could not read of a GPU that has gone."""


def quantity(text: str) -> Value | None:
    """A number in base units: ``86 MHz`` -> ``86e6``; None for what is none."""
    found = _NUMBER.match(text.strip())
    if found is None or found[2] not in _SCALES:
        return None
    value = number(found[1])
    return None if value is None else value * _SCALES[found[2]]


def is_active(text: str) -> Value | None:
    """``Active`` and ``Not Active``, ``Yes`` and ``No``, ``Enabled`` and ``Disabled``; None for anything else."""
    return {
        "active": True,
        "not active": False,
        "yes": True,
        "no": False,
        "enabled": True,
        "disabled": False,
    }.get(text.strip().lower())


def word(text: str) -> Value | None:
    """The text itself; None where it says that there is none."""
    plain = text.strip()
    return None if plain.strip("[]").lower() in _NONE else plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One metric, and where each style of output has it."""

    metric: str
    value: Callable[[str], Value | None]
    text: tuple[str, ...]
    """Paths in the text, lower case, parts joined by ``/``."""
    xml: tuple[str, ...]
    """Paths in the XML below ``gpu``."""


_R = ("clocks event reasons", "clocks throttle reasons")
_X = ("clocks_event_reasons/clocks_event_reason_", "clocks_throttle_reasons/clocks_throttle_reason_")


def _reason(metric: str, text: str, xml: str) -> Field:
    nested = ("", "hw slowdown/")
    return Field(
        metric=metric,
        value=is_active,
        text=tuple(f"{root}/{inner}{text}" for root in _R for inner in nested),
        xml=tuple(root + xml for root in _X),
    )


def _field(metric: str, value: Callable[[str], Value | None], text: str, *xml: str) -> Field:
    return Field(metric=metric, value=value, text=tuple(text.split("|")), xml=xml)


FIELDS: tuple[Field, ...] = (
    _field("part", word, "product name", "product_name"),
    _field("uuid", word, "gpu uuid", "uuid"),
    _field("serial", word, "serial number", "serial"),
    _field("vbios", word, "vbios version", "vbios_version"),
    _field("persistence_mode", is_active, "persistence mode", "persistence_mode"),
    _field("mig_mode", is_active, "mig mode/current", "mig_mode/current_mig"),
    _field("reset_required", is_active, "gpu reset status/reset required", "gpu_reset_status/reset_required"),
    _field(
        "drain_recommended",
        is_active,
        "gpu reset status/drain and reset recommended",
        "gpu_reset_status/drain_and_reset_recommended",
    ),
    _field("recovery_action", word, "gpu recovery action", "gpu_recovery_action"),
    _field("performance_state", word, "performance state", "performance_state"),
    _reason("idle", "idle", "gpu_idle"),
    _reason("sw_power_cap", "sw power cap", "sw_power_cap"),
    _reason("hw_slowdown", "hw slowdown", "hw_slowdown"),
    _reason("hw_thermal", "hw thermal slowdown", "hw_thermal_slowdown"),
    _reason("power_brake", "hw power brake slowdown", "hw_power_brake_slowdown"),
    _reason("sw_thermal", "sw thermal slowdown", "sw_thermal_slowdown"),
    _field("utilization_ratio", quantity, "utilization/gpu", "utilization/gpu_util"),
    _field("sm_clock_hertz", quantity, "clocks/sm", "clocks/sm_clock"),
    _field("sm_clock_max_hertz", quantity, "max clocks/sm", "max_clocks/sm_clock"),
    _field(
        "power_watts",
        quantity,
        "gpu power readings/power draw|power readings/power draw|gpu power readings/average power draw",
        "gpu_power_readings/power_draw",
        "power_readings/power_draw",
        "gpu_power_readings/average_power_draw",
    ),
    _field(
        "power_limit_watts",
        quantity,
        "gpu power readings/current power limit|power readings/enforced power limit|power readings/power limit",
        "gpu_power_readings/current_power_limit",
        "power_readings/enforced_power_limit",
        "power_readings/power_limit",
    ),
    _field(
        "power_limit_default_watts",
        quantity,
        "gpu power readings/default power limit|power readings/default power limit",
        "gpu_power_readings/default_power_limit",
        "power_readings/default_power_limit",
    ),
    _field("temperature_celsius", quantity, "temperature/gpu current temp", "temperature/gpu_temp"),
    _field("temperature_margin_celsius", quantity, "temperature/gpu t.limit temp", "temperature/gpu_temp_tlimit"),
    _field(
        "temperature_slowdown_celsius", quantity, "temperature/gpu slowdown temp", "temperature/gpu_temp_slow_threshold"
    ),
    _field("memory_temperature_celsius", quantity, "temperature/memory current temp", "temperature/memory_temp"),
    _field("ecc_mode", is_active, "ecc mode/current", "ecc_mode/current_ecc"),
    _field("ecc_mode_pending", is_active, "ecc mode/pending", "ecc_mode/pending_ecc"),
    _field(
        "sram_threshold_exceeded",
        is_active,
        "ecc errors/aggregate/sram threshold exceeded",
        "ecc_errors/aggregate/sram_threshold_exceeded",
    ),
    _field("remapped_rows_corrected", quantity, "remapped rows/correctable error", "remapped_rows/remapped_row_corr"),
    _field(
        "remapped_rows_uncorrected", quantity, "remapped rows/uncorrectable error", "remapped_rows/remapped_row_unc"
    ),
    _field("remap_pending", is_active, "remapped rows/pending", "remapped_rows/remapped_row_pending"),
    _field("remap_failed", is_active, "remapped rows/remapping failure occurred", "remapped_rows/remapped_row_failure"),
    _field(
        "remap_banks_none",
        quantity,
        "remapped rows/bank remap availability histogram/none",
        "remapped_rows/row_remapper_histogram/row_remapper_histogram_none",
    ),
    _field(
        "retired_pages_single",
        quantity,
        "retired pages/single bit ecc",
        "retired_pages/multiple_single_bit_retirement/retired_count",
    ),
    _field(
        "retired_pages_double",
        quantity,
        "retired pages/double bit ecc",
        "retired_pages/double_bit_retirement/retired_count",
    ),
    _field(
        "retirement_pending",
        is_active,
        "retired pages/pending page blacklist|retired pages/pending page retirement",
        "retired_pages/pending_blacklist",
        "retired_pages/pending_retirement",
    ),
    _field(
        "pcie_generation",
        quantity,
        "pci/gpu link info/pcie generation/current",
        "pci/pci_gpu_link_info/pcie_gen/current_link_gen",
    ),
    _field(
        "pcie_generation_max",
        quantity,
        "pci/gpu link info/pcie generation/max",
        "pci/pci_gpu_link_info/pcie_gen/max_link_gen",
    ),
    _field(
        "pcie_generation_device_max",
        quantity,
        "pci/gpu link info/pcie generation/device max",
        "pci/pci_gpu_link_info/pcie_gen/max_device_link_gen",
    ),
    _field(
        "pcie_width",
        quantity,
        "pci/gpu link info/link width/current",
        "pci/pci_gpu_link_info/link_widths/current_link_width",
    ),
    _field(
        "pcie_width_max",
        quantity,
        "pci/gpu link info/link width/max",
        "pci/pci_gpu_link_info/link_widths/max_link_width",
    ),
    _field("pcie_replays", quantity, "pci/replays since reset", "pci/replay_counter"),
    _field("fabric_state", word, "fabric/state", "fabric/state"),
    _field("fabric_status", word, "fabric/status", "fabric/status"),
    _field("fabric_health", word, "fabric/health/summary", "fabric/health/summary"),
)
"""Every metric but the counts of ECC errors, which are summed: see `ecc_facts`."""

_UNCORRECTED = re.compile(r"uncorrectable|double bit|double_bit|uncorrected")
_PARTS = re.compile(r"(?:sram|dram)[ _]|total$")


def facts_of(subject: str, paths: Mapping[str, str], *, is_xml: bool) -> list[Fact]:
    """The facts of one GPU, from all of its paths and their values."""
    found = []
    for field in FIELDS:
        names = field.xml if is_xml else field.text
        values = (field.value(paths[name]) for name in names if name in paths)
        value = next((each for each in values if each is not None), None)
        if value is not None:
            found.append(Fact(subject=subject, metric=field.metric, value=value))
    return [*found, *ecc_facts(subject, paths)]


def ecc_facts(subject: str, paths: Mapping[str, str]) -> list[Fact]:
    """Sums of corrected and uncorrected errors since the driver was loaded (``volatile``) and ever (``aggregate``)."""
    sums: dict[str, float] = {}
    for path, text in paths.items():
        parts = path.replace("ecc_errors", "ecc errors").split("/")
        if parts[0] != "ecc errors" or len(parts) < 3 or parts[1] not in ("volatile", "aggregate"):
            continue
        inner = "/".join(parts[2:])
        value = quantity(text)
        if _PARTS.search(inner) and isinstance(value, float):
            kind = "uncorrected" if _UNCORRECTED.search(inner) else "corrected"
            metric = f"ecc_{kind}_{parts[1]}"
            sums[metric] = sums.get(metric, 0.0) + value
    return [Fact(subject=subject, metric=metric, value=value) for metric, value in sums.items()]
