"""Reads NVIDIA GPUs through NVML. The only collector that imports pynvml; it blocks as long as the driver does.

`watchdog.collectors.nvml_process` runs it in a child with a deadline. Gotchas that it takes care of: an item that a GPU
does not support is dropped for good; each value of a batched read has a return code and a type of its own; UNKNOWN is
tried once more; a lost GPU is a reading that says so; a GPU is touched only when it is asked for, so that one that
blocks does not keep the others from being read.
"""

import ctypes
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import pynvml

from watchdog.collectors.readings import GpuIdentity, GpuReading, XidEvent
from watchdog.vocabulary.errors import SourceFailed, SourceMissing

_FIELDS = MappingProxyType(
    {
        38: ("nvlink_crc_flit", 1),
        45: ("nvlink_crc_data", 1),
        52: ("nvlink_replay", 1),
        59: ("nvlink_recovery", 1),
        82: ("memory_temperature_celsius", 1),
        83: ("energy_joules", 1e-3),
        142: ("remapped_rows_corrected", 1),
        143: ("remapped_rows_uncorrected", 1),
        144: ("remap_pending", 1),
        145: ("remap_failed", 1),
        186: ("power_watts", 1e-3),
        230: ("recovery_action", 1),
        269: ("thermal_software", 1e-9),
        270: ("thermal_hardware", 1e-9),
        271: ("power_brake_seconds", 1e-9),
    }
)
"""Field number -> what it is, and the factor from NVML's unit, mJ, mW, ns, to ours (nvml.h, NVML_FI_DEV_*)."""
_MEMBERS = MappingProxyType({0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal", 6: "usVal"})
"""`nvmlValueType_t` -> member of the union; a signed value read as unsigned shows -5 as 4294967291."""
_NVLINK_ERRORS = ("nvlink_crc_flit", "nvlink_crc_data", "nvlink_replay", "nvlink_recovery")
"""Totals over all links of a GPU."""
_SLOWDOWNS = ("thermal_software", "thermal_hardware")
_LOST = (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED)
_DROPPED = (
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_INVALID_ARGUMENT,
)
"""These answers do not change while the driver is loaded."""


class _LostError(Exception):
    """The GPU no longer answers."""


class NvmlReader:
    """Reads all GPUs that the driver shows. Open it once; never per look."""

    def __init__(self, known: Sequence[str] = ()) -> None:
        """`known`: UUIDs by index as an earlier reader found them; indices keep that meaning though a GPU fell off."""
        self._uuids: list[str] = list(known)
        self._handles: dict[int, Any] = {}
        self._dropped: set[tuple[int, str]] = set()
        self._thermal: dict[int, tuple[float, float, float]] = {}
        self._events: Any = None

    def open(self) -> None:
        """Load NVML and count the GPUs. Raises `SourceMissing` (no library or driver), `SourceFailed`."""
        try:
            pynvml.nvmlInit()
            count = pynvml.nvmlDeviceGetCount()
        except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded) as error:
            raise SourceMissing(f"NVML: {error}") from error
        except pynvml.NVMLError as error:
            raise SourceFailed(f"NVML does not start: {error}; see nvidia-smi and dmesg") from error
        self._uuids = self._uuids or [f"unknown-gpu{index}" for index in range(count)]
        self._open_events()

    @property
    def uuids(self) -> tuple[str, ...]:
        """UUIDs by index; ``unknown-gpu3`` for one that has not told its own yet."""
        return tuple(self._uuids)

    def identities(self) -> tuple[GpuIdentity, ...]:
        """Who the GPUs are."""
        return tuple(self.identity(index) for index in range(len(self._uuids)))

    def name(self, index: int) -> str:
        """Let a GPU tell its UUID; it keeps ``unknown-gpu3`` where it can't. Reading alone never renames."""
        with suppress(_LostError, pynvml.NVMLError):
            self._attach(index)
            self._uuids[index] = str(pynvml.nvmlDeviceGetUUID(self._handles[index]))
        return self._uuids[index]

    def identity(self, index: int) -> GpuIdentity:
        """Who one GPU is. One that is lost from the start stays ``unknown-gpu3``, and its readings say lost."""
        driver = str(pynvml.nvmlSystemGetDriverVersion())
        self.name(index)
        try:
            self._attach(index)
            return self._identity(index, driver)
        except (_LostError, pynvml.NVMLError):
            return GpuIdentity(
                index=index,
                uuid=self._uuids[index],
                name="unknown GPU",
                serial=None,
                pci_bus_id="",
                vbios=None,
                driver=driver,
                memory_bytes=None,
                power_limit_watts=None,
                sm_clock_max_hertz=None,
            )

    def read_one(self, index: int, at_seconds: float) -> GpuReading:
        """One look at one GPU; a lost GPU gives a reading with `lost` and nothing else."""
        try:
            self._attach(index)
            return self._read(index, at_seconds)
        except _LostError:
            return GpuReading(uuid=self._uuids[index], at_seconds=at_seconds, lost=True)
        except pynvml.NVMLError:
            return GpuReading(uuid=self._uuids[index], at_seconds=at_seconds)  # no handle now; asked again next time

    def xids(self, at_seconds: float) -> tuple[XidEvent, ...]:
        """Xids that came since the last call; does not wait. Nothing from before the GPU was first read."""
        found = []
        while self._events is not None:
            try:
                data = pynvml.nvmlEventSetWait_v2(self._events, 0)
            except pynvml.NVMLError_Timeout:
                break
            except pynvml.NVMLError:
                self._reopen_events()
                break
            uuid = self._uuid_of(data.device)
            if data.eventType == pynvml.nvmlEventTypeXidCriticalError and uuid is not None:
                found.append(XidEvent(uuid=uuid, code=int(data.eventData), at_seconds=at_seconds))
        return tuple(found)

    def _attach(self, index: int) -> None:
        """Get the handle of one GPU, once, and listen for its Xids. By index: by UUID, NVML would wake each GPU."""
        if index in self._handles:
            return
        expected = self._uuids[index]
        try:
            handle, uuid = self._handle_at(index)
            if handle is None or (uuid != expected and not expected.startswith("unknown-gpu")):
                handle = pynvml.nvmlDeviceGetHandleByUUID(expected)  # indices moved: a GPU fell off
        except pynvml.NVMLError as error:
            if error.value in _LOST or error.value == pynvml.NVML_ERROR_NOT_FOUND:
                raise _LostError from error
            raise
        self._handles[index] = handle
        self._listen(handle)

    def _handle_at(self, index: int) -> tuple[Any, str]:
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        except pynvml.NVMLError_InvalidArgument:
            return None, ""  # fewer GPUs than there were
        return handle, str(pynvml.nvmlDeviceGetUUID(handle))

    def _open_events(self) -> None:
        try:
            self._events = pynvml.nvmlEventSetCreate()
        except pynvml.NVMLError:
            self._events = None  # a virtual GPU or an old driver delivers no events; the kernel log remains

    def _reopen_events(self) -> None:
        """After UNKNOWN the set is undefined (nvml.h, nvmlEventSetWait_v2): free it and listen anew."""
        with suppress(pynvml.NVMLError):  # it is given up in any case
            pynvml.nvmlEventSetFree(self._events)
        self._open_events()
        for handle in self._handles.values():
            self._listen(handle)

    def _listen(self, handle: Any) -> None:
        wanted = pynvml.nvmlEventTypeXidCriticalError
        try:
            if self._events is not None and pynvml.nvmlDeviceGetSupportedEventTypes(handle) & wanted:
                pynvml.nvmlDeviceRegisterEvents(handle, wanted, self._events)
        except pynvml.NVMLError:
            return  # this GPU delivers none; the kernel log remains

    def _uuid_of(self, device: Any) -> str | None:
        """By its handle: a call for the UUID would fail on a GPU that the Xid made unreachable."""
        at = ctypes.cast(device, ctypes.c_void_p).value
        return next(
            (
                self._uuids[index]
                for index, handle in self._handles.items()
                if ctypes.cast(handle, ctypes.c_void_p).value == at
            ),
            None,
        )

    def _identity(self, index: int, driver: str) -> GpuIdentity:
        def ask(name: str, *arguments: object) -> Any:
            return self._ask(index, name, *arguments)

        pci, memory, name = ask("nvmlDeviceGetPciInfo"), ask("nvmlDeviceGetMemoryInfo"), ask("nvmlDeviceGetName")
        power, clock = ask("nvmlDeviceGetEnforcedPowerLimit"), ask("nvmlDeviceGetMaxClockInfo", pynvml.NVML_CLOCK_SM)
        return GpuIdentity(
            index=index,
            uuid=self._uuids[index],
            name=str(name or "unknown GPU"),
            serial=ask("nvmlDeviceGetSerial"),
            pci_bus_id=normal_bus_id(pci.busId) if pci else "",
            vbios=ask("nvmlDeviceGetVbiosVersion"),
            driver=driver,
            memory_bytes=memory.total if memory else None,
            power_limit_watts=_times(power, 1e-3),
            sm_clock_max_hertz=_times(clock, 1e6),
        )

    def _read(self, index: int, at_seconds: float) -> GpuReading:
        def ask(name: str, *arguments: object) -> Any:
            return self._ask(index, name, *arguments)

        fields = self._fields(index)
        power, utilization = fields.pop("power_watts", None), ask("nvmlDeviceGetUtilizationRates")
        memory = ask("nvmlDeviceGetMemoryInfo")
        links = self._all_of(index, _NVLINK_ERRORS, fields)
        corrected, uncorrected = (
            ask("nvmlDeviceGetTotalEccErrors", kind, pynvml.NVML_VOLATILE_ECC)
            for kind in (pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED)
        )
        flags = {name: bool(fields.pop(name)) for name in ("remap_pending", "remap_failed") if name in fields}
        slowdowns = self._all_of(index, _SLOWDOWNS, fields)
        thermal = self._thermal_seconds(index, *(slowdowns.get(name) for name in _SLOWDOWNS))
        return GpuReading(
            uuid=self._uuids[index],
            at_seconds=at_seconds,
            **fields,
            **flags,
            power_watts=_times(ask("nvmlDeviceGetPowerUsage"), 1e-3) if power is None else power,
            temperature_celsius=ask("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU),
            temperature_margin_celsius=ask("nvmlDeviceGetMarginTemperature"),
            sm_clock_hertz=_times(ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM), 1e6),
            memory_clock_hertz=_times(ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM), 1e6),
            clock_event_reasons=ask("nvmlDeviceGetCurrentClocksEventReasons"),
            thermal_throttle_seconds=thermal,
            utilization_ratio=utilization.gpu / 100 if utilization else None,
            memory_used_bytes=memory.used if memory else None,
            ecc_corrected_total=corrected,
            ecc_uncorrected_total=uncorrected,
            pcie_generation=ask("nvmlDeviceGetCurrPcieLinkGeneration"),
            pcie_width=ask("nvmlDeviceGetCurrPcieLinkWidth"),
            pcie_replays_total=ask("nvmlDeviceGetPcieReplayCounter"),
            nvlink_errors_total=sum(links.values()) if links else None,
        )

    def _all_of(self, index: int, names: Sequence[str], fields: dict[str, Any]) -> dict[str, Any]:
        """Take from `fields` those of `names` that this GPU has; nothing when one is missing for once.

        A total of counters would fall when a part of it is missing at one look, and look like growth at the next.
        """
        had = [name for name in names if (index, name) not in self._dropped]
        taken = {name: fields.pop(name) for name in had if name in fields}
        return taken if len(taken) == len(had) else {}

    def _thermal_seconds(self, index: int, software: float | None, hardware: float | None) -> float | None:
        """Time with either slowdown. Both often hold at once, so a look adds the longer of the two, not their sum.

        It begins at the sum, which is at least what an earlier reader had counted: the total never falls.
        """
        if software is None or hardware is None:
            return hardware if software is None else software
        old = self._thermal.get(index)
        total = software + hardware if old is None else old[2] + max(0.0, software - old[0], hardware - old[1])
        self._thermal[index] = (software, hardware, total)
        return total

    def _fields(self, index: int) -> dict[str, Any]:
        """One batched call: fields that the same driver call fills cost one call (nvml.h, nvmlDeviceGetFieldValues)."""
        wanted = [number for number, (name, _) in _FIELDS.items() if (index, name) not in self._dropped]
        found, unknown = self._some_fields(index, wanted)
        return found | self._some_fields(index, unknown)[0] if unknown else found

    def _some_fields(self, index: int, numbers: list[int]) -> tuple[dict[str, Any], list[int]]:
        """Values by name, and the numbers that were answered UNKNOWN."""
        found: dict[str, Any] = {}
        unknown: list[int] = []
        for value in (self._ask_fields(index, numbers) if numbers else None) or ():
            name, factor = _FIELDS[value.fieldId]
            if value.nvmlReturn in _LOST:
                raise _LostError
            if value.nvmlReturn in _DROPPED:
                self._dropped.add((index, name))
            elif value.nvmlReturn == pynvml.NVML_ERROR_UNKNOWN:
                unknown.append(value.fieldId)
            elif value.nvmlReturn == pynvml.NVML_SUCCESS and value.valueType in _MEMBERS:
                number = getattr(value.value, _MEMBERS[value.valueType])
                found[name] = number if factor == 1 else number * factor
        return found, unknown

    def _ask_fields(self, index: int, numbers: list[int]) -> Any:
        return self._ask(index, "nvmlDeviceGetFieldValues", numbers, key="nvmlDeviceGetFieldValues")

    def _ask(self, index: int, name: str, *arguments: object, key: str | None = None) -> Any:
        """One item of one GPU; None when it can't be read, now or ever. UNKNOWN is asked once more."""
        item = (index, f"{name}{arguments}" if key is None else key)
        function: Callable[..., Any] = getattr(pynvml, name)
        for _ in range(0 if item in self._dropped else 2):
            try:
                return function(self._handles[index], *arguments)
            except pynvml.NVMLError as error:
                if error.value in _LOST:
                    raise _LostError from error
                if error.value in _DROPPED:
                    self._dropped.add(item)
                if error.value != pynvml.NVML_ERROR_UNKNOWN:
                    return None
        return None


def normal_bus_id(bus_id: str | bytes) -> str:
    """NVML's ``00000000:1B:00.0`` as the kernel log and sysfs write it: ``0000:1b:00.0``."""
    text = bus_id if isinstance(bus_id, str) else bus_id.decode()
    domain, _, rest = text.lower().partition(":")
    return f"{domain[-4:].zfill(4)}:{rest}"


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
