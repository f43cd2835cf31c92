"""Reads NVIDIA GPUs through NVML. The only collector that imports pynvml; it blocks as long as the driver does.

`watchdog.collectors.nvml_process` runs it in a child with a deadline. Gotchas that it takes care of: an item that a GPU
does not support is dropped for good; T.Limit fields are signed; each value of a batched read has a return code and a
type of its own; UNKNOWN is tried once more; a lost GPU is a reading that says so.
"""

from collections.abc import Callable
from typing import Any

import pynvml

from watchdog.collectors.readings import GpuIdentity, GpuReading, XidEvent
from watchdog.vocabulary.errors import SourceFailed, SourceMissing

_FIELDS = {
    82: "memory_temperature_celsius", 83: "energy_joules", 142: "remapped_rows_corrected",
    143: "remapped_rows_uncorrected", 144: "remap_pending", 145: "remap_failed", 186: "power_watts",
    230: "recovery_action", 269: "thermal_software", 270: "thermal_hardware", 271: "power_brake_seconds",
}
"""Field number -> what it is (nvml.h, NVML_FI_DEV_*)."""
_SCALE = {"energy_joules": 1e-3, "power_watts": 1e-3, "thermal_software": 1e-9, "thermal_hardware": 1e-9,
          "power_brake_seconds": 1e-9}
"""NVML gives millijoules, milliwatts and nanoseconds."""
_VALUE = {0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal"}
"""`nvmlValueType_t` -> member of the union."""
_LOST = (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED)
_DROPPED = (pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND, pynvml.NVML_ERROR_NO_PERMISSION,
            pynvml.NVML_ERROR_INVALID_ARGUMENT)
_NVLINKS = 18
"""Most links of a GPU (Hopper); one that has fewer answers INVALID_ARGUMENT."""


class _LostError(Exception):
    """The GPU no longer answers."""


class NvmlReader:
    """Reads all GPUs that the driver shows. Open it once; never per look."""

    def __init__(self) -> None:
        """Nothing is loaded before `open`."""
        self._handles: list[Any] = []
        self._uuids: list[str] = []
        self._dropped: set[tuple[int, str]] = set()
        self._events: Any = None

    def open(self) -> None:
        """Load NVML and find the GPUs. Raises `SourceMissing` (no library or driver), `SourceFailed`."""
        try:
            pynvml.nvmlInit()
            self._handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
            self._uuids = [pynvml.nvmlDeviceGetUUID(handle) for handle in self._handles]
        except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded) as error:
            raise SourceMissing(f"NVML: {error}") from error
        except pynvml.NVMLError as error:
            raise SourceFailed(f"NVML does not start: {error}; see nvidia-smi and dmesg") from error
        self._listen()

    @property
    def uuids(self) -> tuple[str, ...]:
        """UUIDs by NVML index."""
        return tuple(self._uuids)

    def identities(self) -> tuple[GpuIdentity, ...]:
        """Who the GPUs are."""
        driver = str(pynvml.nvmlSystemGetDriverVersion())
        return tuple(self._identity(index, driver) for index in range(len(self._handles)))

    def read_one(self, index: int, at_seconds: float) -> GpuReading:
        """One look at one GPU; a lost GPU gives a reading with `lost` and nothing else."""
        try:
            return self._read(index, at_seconds)
        except _LostError:
            return GpuReading(uuid=self._uuids[index], at_seconds=at_seconds, lost=True)

    def xids(self, at_seconds: float) -> tuple[XidEvent, ...]:
        """Xids that came since the last call; does not wait."""
        found = []
        while self._events is not None:
            try:
                data = pynvml.nvmlEventSetWait_v2(self._events, 0)
            except pynvml.NVMLError_Timeout:
                break
            except pynvml.NVMLError:
                pynvml.nvmlEventSetFree(self._events)  # UNKNOWN leaves the set undefined
                self._listen()
                break
            if data.eventType == pynvml.nvmlEventTypeXidCriticalError:
                found.append(XidEvent(uuid=str(pynvml.nvmlDeviceGetUUID(data.device)), code=int(data.eventData),
                                      at_seconds=at_seconds))
        return tuple(found)

    def _listen(self) -> None:
        """Register for Xids on every GPU that delivers them."""
        self._events = None
        try:
            events = pynvml.nvmlEventSetCreate()
            wanted = pynvml.nvmlEventTypeXidCriticalError
            for handle in self._handles:
                if pynvml.nvmlDeviceGetSupportedEventTypes(handle) & wanted:
                    pynvml.nvmlDeviceRegisterEvents(handle, wanted, events)
        except pynvml.NVMLError:
            return  # a virtual GPU or an old driver delivers no events; the kernel log remains
        self._events = events

    def _identity(self, index: int, driver: str) -> GpuIdentity:
        handle = self._handles[index]

        def ask(name: str, *arguments: object) -> Any:
            return self._ask(index, name, *arguments)

        bus = pynvml.nvmlDeviceGetPciInfo(handle).busId
        memory = ask("nvmlDeviceGetMemoryInfo")
        power, clock = ask("nvmlDeviceGetEnforcedPowerLimit"), ask("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM)
        return GpuIdentity(
            index=index, uuid=self._uuids[index], name=str(pynvml.nvmlDeviceGetName(handle)),
            serial=ask("nvmlDeviceGetSerial"), pci_bus_id=normal_bus_id(bus if isinstance(bus, str) else bus.decode()),
            vbios=ask("nvmlDeviceGetVbiosVersion"), driver=driver, memory_bytes=memory.total if memory else None,
            power_limit_watts=_times(power, 1e-3), sm_clock_max_hertz=_times(clock, 1e6))

    def _read(self, index: int, at_seconds: float) -> GpuReading:
        def ask(name: str, *arguments: object) -> Any:
            return self._ask(index, name, *arguments)

        fields = self._fields(index)
        thermal = [fields.pop(name, None) for name in ("thermal_software", "thermal_hardware")]
        power, utilization = fields.pop("power_watts", None), ask("nvmlDeviceGetUtilizationRates")
        if power is None:
            power = _times(ask("nvmlDeviceGetPowerUsage"), 1e-3)
        memory = ask("nvmlDeviceGetMemoryInfo")
        corrected, uncorrected = (ask("nvmlDeviceGetTotalEccErrors", kind, pynvml.NVML_VOLATILE_ECC) for kind in (
            pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED))
        for name in ("remap_pending", "remap_failed"):
            fields[name] = None if fields.get(name) is None else bool(fields[name])
        return GpuReading(
            uuid=self._uuids[index], at_seconds=at_seconds, power_watts=power, **fields,
            temperature_celsius=ask("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU),
            temperature_margin_celsius=ask("nvmlDeviceGetMarginTemperature"),
            sm_clock_hertz=_times(ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM), 1e6),
            memory_clock_hertz=_times(ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM), 1e6),
            clock_event_reasons=ask("nvmlDeviceGetCurrentClocksEventReasons"),
            thermal_throttle_seconds=sum(t for t in thermal if t is not None) if any(
                t is not None for t in thermal) else None,
            utilization_ratio=utilization.gpu / 100 if utilization else None,
            memory_used_bytes=memory.used if memory else None,
            ecc_corrected_total=corrected, ecc_uncorrected_total=uncorrected,
            pcie_generation=ask("nvmlDeviceGetCurrPcieLinkGeneration"),
            pcie_width=ask("nvmlDeviceGetCurrPcieLinkWidth"),
            pcie_replays_total=ask("nvmlDeviceGetPcieReplayCounter"))

    def _fields(self, index: int) -> dict[str, Any]:
        """One batched call: fields that the same driver call fills cost one call (nvml.h, nvmlDeviceGetFieldValues)."""
        wanted = [number for number, name in _FIELDS.items() if (index, name) not in self._dropped]
        values = self._call(index, "nvmlDeviceGetFieldValues", wanted) or ()
        found: dict[str, Any] = {}
        for value in values:
            name = _FIELDS[value.fieldId]
            if value.nvmlReturn in _LOST:
                raise _LostError
            if value.nvmlReturn in _DROPPED:
                self._dropped.add((index, name))
            elif value.nvmlReturn == pynvml.NVML_SUCCESS and value.valueType in _VALUE:
                number = getattr(value.value, _VALUE[value.valueType])
                found[name] = number * _SCALE[name] if name in _SCALE else number
        return found

    def _ask(self, index: int, name: str, *arguments: object) -> Any:
        """One item of one GPU; None when it can't be read, now or ever."""
        key = f"{name}{arguments}"
        return None if (index, key) in self._dropped else self._call(index, name, *arguments, key=key)

    def _call(self, index: int, name: str, *arguments: object, key: str = "") -> Any:
        function: Callable[..., Any] = getattr(pynvml, name)
        for attempt in range(2):
            try:
                return function(self._handles[index], *arguments)
            except pynvml.NVMLError as error:
                if error.value in _LOST:
                    raise _LostError from error
                if error.value in _DROPPED:
                    self._dropped.add((index, key))
                if error.value != pynvml.NVML_ERROR_UNKNOWN or attempt:
                    return None
        return None


def normal_bus_id(bus_id: str) -> str:
    """NVML's ``00000000:1B:00.0`` as the kernel log and sysfs write it: ``0000:1b:00.0``."""
    domain, rest = bus_id.lower().split(":", 1)
    return f"{domain[-4:]}:{rest}"


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
