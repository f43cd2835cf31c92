"""Reads NVIDIA GPUs through NVML. The only collector that imports pynvml; it blocks as long as the driver does.

`watchdog.collectors.nvml_process` runs it in a child with a deadline. Gotchas that it takes care of: an item that a GPU
does not support is dropped for good; each value of a batched read has a return code and a type of its own; UNKNOWN is
tried once more; a lost GPU is a reading that says so; a GPU is touched only when it is asked for, so that one that
blocks does not keep the others from being read.
"""

import ctypes
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pynvml

from watchdog.collectors.nvml_fields import (
    FIELDS,
    LINK_FIELDS,
    LINKS_UP,
    LONG_TYPES,
    MEMBERS,
    NVLINK_ERRORS,
    PCIE_BYTES,
    SLOWDOWNS,
)
from watchdog.collectors.readings import GpuIdentity, GpuReading, XidEvent
from watchdog.vocabulary.errors import SourceFailed, SourceMissing

_SLOW_LOOKS = 10
"""What changes once in weeks, and costs a call of its own, is read at every tenth look."""
_LOST = (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED)
_DROPPED = (
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_INVALID_ARGUMENT,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
)
"""These answers do not change while the driver is loaded."""

_Table = Mapping[tuple[int, int], tuple[str, float]]
"""Of `nvml_fields`, or a part of it."""


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
        self._num_looks: dict[int, int] = {}
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
            pcie_generation_max=ask("nvmlDeviceGetMaxPcieLinkGeneration"),
            pcie_width_max=ask("nvmlDeviceGetMaxPcieLinkWidth"),
            nvlinks=len(self._fields(index, LINK_FIELDS)),
            processes=tuple(
                f"{one.pid} {_name_of(one.pid)}" for one in ask("nvmlDeviceGetComputeRunningProcesses") or ()
            ),
        )

    def _read(self, index: int, at_seconds: float) -> GpuReading:
        def ask(name: str, *arguments: object) -> Any:
            return self._ask(index, name, *arguments)

        begun = time.perf_counter()
        fields = self._fields(index, FIELDS)
        power, utilization = fields.pop("power_watts", None), ask("nvmlDeviceGetUtilizationRates")
        memory = ask("nvmlDeviceGetMemoryInfo")
        errors = self._all_of(index, NVLINK_ERRORS, fields)
        corrected, uncorrected = (
            ask("nvmlDeviceGetTotalEccErrors", kind, pynvml.NVML_VOLATILE_ECC)
            for kind in (pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED)
        )
        flags = {name: bool(fields.pop(name)) for name in ("remap_pending", "remap_failed") if name in fields}
        slowdowns = self._all_of(index, SLOWDOWNS, fields)
        thermal = self._thermal_seconds(index, *(slowdowns.get(name) for name in SLOWDOWNS))
        slow = self._slow_items(index)
        return GpuReading(
            uuid=self._uuids[index],
            at_seconds=at_seconds,
            **fields,
            **flags,
            **slow,
            power_watts=_times(ask("nvmlDeviceGetPowerUsage"), 1e-3) if power is None else power,
            temperature_celsius=ask("nvmlDeviceGetTemperature", pynvml.NVML_TEMPERATURE_GPU),
            temperature_margin_celsius=ask("nvmlDeviceGetMarginTemperature"),
            sm_clock_hertz=_times(ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM), 1e6),
            memory_clock_hertz=_times(ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_MEM), 1e6),
            clock_event_reasons=ask("nvmlDeviceGetCurrentClocksEventReasons"),
            thermal_throttle_seconds=thermal,
            utilization_ratio=utilization.gpu / 100 if utilization else None,
            memory_utilization_ratio=utilization.memory / 100 if utilization else None,
            memory_used_bytes=memory.used if memory else None,
            ecc_corrected_total=corrected,
            ecc_uncorrected_total=uncorrected,
            pcie_generation=ask("nvmlDeviceGetCurrPcieLinkGeneration"),
            pcie_width=ask("nvmlDeviceGetCurrPcieLinkWidth"),
            pcie_replays_total=ask("nvmlDeviceGetPcieReplayCounter"),
            nvlink_errors_total=sum(errors.values()) if errors else None,
            read_seconds=time.perf_counter() - begun,
        )

    def _slow_items(self, index: int) -> dict[str, Any]:
        """Spare rows, links, fabric and SRAM by name; nothing at most looks."""
        looks = self._num_looks.get(index, 0)
        self._num_looks[index] = looks + 1
        if looks % _SLOW_LOOKS:
            return {}
        links = self._all_of(index, LINKS_UP, self._fields(index, LINK_FIELDS))
        spares = self._ask(index, "nvmlDeviceGetRowRemapperHistogram")
        sram = pynvml.c_nvmlEccSramErrorStatus_v1_t()
        has_sram = self._filled(index, "nvmlDeviceGetSramEccErrorStatus", sram)
        return {
            "nvlink_links_up": sum(state == 1 for state in links.values()) if links else None,
            "remap_banks_none": spares.none if spares else None,
            "remap_banks_low": spares.low if spares else None,
            "sram_threshold_exceeded": bool(sram.bThresholdExceeded) if has_sram else None,
            **self._fabric(index),
        }

    def _fabric(self, index: int) -> dict[str, int]:
        """State of the registration with the fabric manager, in the newest structure that this driver knows."""
        for structure in (pynvml.c_nvmlGpuFabricInfo_v3_t, pynvml.c_nvmlGpuFabricInfo_v2_t):
            info = structure()  # it knows its version
            if self._filled(index, "nvmlDeviceGetGpuFabricInfoV", info) and info.state:
                found = {"fabric_state": info.state}
                if info.state == pynvml.NVML_GPU_FABRIC_STATE_COMPLETED:
                    found["fabric_status"] = info.status
                if getattr(info, "healthSummary", 0):
                    found["fabric_health"] = info.healthSummary
                return found
        return {}

    def _filled(self, index: int, name: str, structure: ctypes.Structure) -> bool:
        """A call that fills a structure of the caller's did so."""
        key = f"{name} {type(structure).__name__}"
        return self._ask(index, name, ctypes.byref(structure), key=key) is not None

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

    def _fields(self, index: int, table: _Table) -> dict[str, Any]:
        """One batched call: fields that the same driver call fills cost one call (nvml.h, nvmlDeviceGetFieldValues)."""
        wanted = {field: item for field, item in table.items() if (index, item[0]) not in self._dropped}
        found, unknown = self._some_fields(index, wanted)
        return found | self._some_fields(index, unknown)[0] if unknown else found

    def _some_fields(self, index: int, wanted: _Table) -> tuple[dict[str, Any], _Table]:
        """Values by name, and the fields that were answered UNKNOWN. Each look at a value costs, hence once each."""
        found: dict[str, Any] = {}
        unknown: dict[tuple[int, int], tuple[str, float]] = {}
        values = (self._ask_fields(index, list(wanted)) if wanted else None) or ()
        for (field, (name, factor)), value in zip(wanted.items(), values, strict=False):
            code = value.nvmlReturn
            if code in _LOST:
                raise _LostError
            if code in _DROPPED:
                self._dropped.add((index, name))
            elif code == pynvml.NVML_ERROR_UNKNOWN:
                unknown[field] = (name, factor)
            elif code == pynvml.NVML_SUCCESS:
                self._keep(index, name, factor, value, found)
        return found, unknown

    def _keep(self, index: int, name: str, factor: float, value: Any, found: dict[str, Any]) -> None:
        kind = value.valueType
        if name in PCIE_BYTES and kind not in LONG_TYPES:
            self._dropped.add((index, name))
        elif kind in MEMBERS:
            number = getattr(value.value, MEMBERS[kind])
            found[name] = number if factor == 1 else number * factor

    def _ask_fields(self, index: int, wanted: list[tuple[int, int]]) -> Any:
        return self._ask(index, "nvmlDeviceGetFieldValues", wanted, key="nvmlDeviceGetFieldValues")

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


def _name_of(pid: int) -> str:
    """Name of a process; it may have ended, or be of another container."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "?"


def normal_bus_id(bus_id: str | bytes) -> str:
    """NVML's ``00000000:1B:00.0`` as the kernel log and sysfs write it: ``0000:1b:00.0``."""
    text = bus_id if isinstance(bus_id, str) else bus_id.decode()
    domain, _, rest = text.lower().partition(":")
    return f"{domain[-4:].zfill(4)}:{rest}"


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
