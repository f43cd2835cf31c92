"""What the readers return: wide frozen rows, one per device and tick. What could not be read is None, never 0."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuIdentity:
    """What does not change while the driver is loaded."""

    index: int
    """NVML index (PCI order; a CUDA ordinal may differ, so map by UUID)."""
    uuid: str
    name: str
    serial: str | None
    pci_bus_id: str
    """``0000:1b:00.0``: four-digit domain, lower case, as the kernel log and sysfs write it."""
    vbios: str | None
    driver: str
    memory_bytes: int | None
    power_limit_watts: float | None
    sm_clock_max_hertz: float | None
    processes: tuple[str, ...] = ()
    """Compute processes on it when it was looked at first: ``pid name``."""
    pcie_generation_max: int | None = None
    """Highest that GPU and slot can both do."""
    pcie_width_max: int | None = None
    nvlinks: int | None = None
    """NVLinks that the driver shows, up or not; 0: this GPU has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReading:
    """One look at one GPU. Every field is None where this GPU or driver does not give it."""

    uuid: str
    at_seconds: float
    """On the run's clock."""
    power_watts: float | None = None
    energy_joules: float | None = None
    """Total since the driver was loaded."""
    temperature_celsius: float | None = None
    memory_temperature_celsius: float | None = None
    """HBM."""
    temperature_margin_celsius: float | None = None
    """Degrees left to the nearest slowdown threshold (T.Limit)."""
    sm_clock_hertz: float | None = None
    memory_clock_hertz: float | None = None
    clock_event_reasons: int | None = None
    """Bit mask, `nvmlDeviceGetCurrentClocksEventReasons`."""
    thermal_throttle_seconds: float | None = None
    """Total time that software or hardware thermal slowdown was in force (fields 269, 270)."""
    power_brake_seconds: float | None = None
    """Total time that the power brake was in force (field 271)."""
    utilization_ratio: float | None = None
    memory_used_bytes: int | None = None
    ecc_corrected_total: int | None = None
    """Volatile: since the driver was loaded."""
    ecc_uncorrected_total: int | None = None
    """Volatile: since the driver was loaded."""
    remapped_rows_corrected: int | None = None
    remapped_rows_uncorrected: int | None = None
    remap_pending: bool | None = None
    remap_failed: bool | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    pcie_replays_total: int | None = None
    nvlink_errors_total: int | None = None
    recovery_action: int | None = None
    """Field 230: 0 none, 1 reset, 2 reboot, 3 drain P2P, 4 drain and reset."""
    power_cap_seconds: float | None = None
    """Total time that the software power cap was in force (field 74); normal at a full load."""
    memory_utilization_ratio: float | None = None
    """Share of time in which device memory was read or written."""
    pcie_tx_bytes_total: int | None = None
    """Sent by the GPU (field 197). The counter may wrap."""
    pcie_rx_bytes_total: int | None = None
    """Received by the GPU (field 198). The counter may wrap."""
    remap_banks_none: int | None = None
    """Memory banks without a spare row left: the next error there can't be remapped. Read at every tenth look."""
    remap_banks_low: int | None = None
    """Memory banks with few spare rows left. Read at every tenth look."""
    nvlink_links_up: int | None = None
    """Read at every tenth look."""
    fabric_state: int | None = None
    """`nvmlGpuFabricState_t`: 1 not started, 2 in progress, 3 completed. Read at every tenth look."""
    fabric_status: int | None = None
    """`nvmlReturn_t` of the registration, once it is completed: 0 is success."""
    fabric_health: int | None = None
    """`healthSummary`: 1 healthy, 2 unhealthy, 3 limited capacity; None before driver R565."""
    sram_threshold_exceeded: bool | None = None
    """Uncorrectable SRAM errors passed NVIDIA's limit for a replacement. Only root may ask. At every tenth look."""
    read_seconds: float | None = None
    """How long this look took: a GPU whose firmware is about to hang answers slowly first."""
    lost: bool = False
    """NVML answered GPU_IS_LOST (15) or RESET_REQUIRED (16)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class XidEvent:
    """An Xid that the driver delivered while we listened."""

    uuid: str
    code: int
    at_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderGap:
    """The NVML reader did not answer within its deadline, and was replaced."""

    at_seconds: float
    """When it began to be silent; a gap that goes on is reported at each look, with the same beginning."""
    for_seconds: float
    message: str
    uuid: str | None = None
    """The GPU whose call did not return; None when the reader as a whole was silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReading:
    """One look at the host. Ratios are of all processors over the time since the last look."""

    at_seconds: float
    pressure_some_ratio: float | None
    """Share of time in which some task waited for a processor (`/proc/pressure/cpu`, from `total`)."""
    others_ratio: float | None
    """Share of processor time used by processes that are not ours."""
    steal_ratio: float | None
    """Share of processor time that the hypervisor gave to other machines."""
    clock_hertz: float | None
    """Mean over processors, where the kernel tells."""
    memory_available_bytes: int | None
