"""The C functions of NVML over a scenario: real pynvml code calls them through ctypes, with the real signatures.

Each function is a ctypes callback that writes through the pointers it is given. pynvml finds them where it would find
the symbols of libnvidia-ml.so.1; a name that is not here is a symbol that the library does not have.
"""

import ctypes
import time
from collections.abc import Callable, Iterator
from ctypes import c_int, c_uint, c_ulonglong, c_void_p
from typing import Any
from uuid import UUID, uuid5

import pynvml

from watchdog.simulator.model import GpuState, gpu_state
from watchdog.simulator.node import SimulatedNode
from watchdog.simulator.parts import PARTS

_OK, _BAD_ARGUMENT, _UNSUPPORTED, _TIMEOUT, _LOST = 0, 2, 3, 10, 15
_HANDLE_STEP = 64
"""Handles are (index + 1) times this: pointers that nobody follows."""
_DRIVER, _NVML, _CUDA = "570.86.15", "12.570.86.15", 12080
_NAMESPACE = UUID("6f9a4c1e-3f0b-4a56-9d0e-2b7c5a1f8e44")
_U64, _U32, _SIGNED, _DOUBLE = 3, 1, 5, 0


def install(node: SimulatedNode) -> None:
    """Make pynvml of this process talk to `node`."""
    pynvml.nvmlLib = Library(node)
    pynvml._nvmlGetFunctionPointer_cache.clear()


def uninstall() -> None:
    """Make pynvml look for the real library again."""
    pynvml.nvmlLib = None
    pynvml._nvmlGetFunctionPointer_cache.clear()


def gpu_uuid(seed: int, node: str, index: int) -> str:
    """Stable UUID of a simulated GPU."""
    return f"GPU-{uuid5(_NAMESPACE, f'{seed}/{node}/{index}')}"


class Library:
    """Holds the callbacks alive; an attribute for each exported symbol."""

    def __init__(self, node: SimulatedNode) -> None:
        """Build the symbols over the scenario of `node`."""
        self._node = node
        self._scenario = node.scenario()
        self._part = PARTS[self._scenario.fleet.part]
        self._registered_at = 0.0
        self._delivered: set[tuple[int, int]] = set()
        for name, argument_types, function in self._symbols():
            setattr(self, name, ctypes.CFUNCTYPE(c_int, *argument_types)(function))

    def _symbols(self) -> Iterator[tuple[str, tuple[Any, ...], Callable[..., int]]]:
        yield "nvmlInitWithFlags", (c_uint,), lambda _flags: _OK
        yield "nvmlInit_v2", (), lambda: _OK
        yield "nvmlShutdown", (), lambda: _OK
        yield "nvmlSystemGetDriverVersion", (c_void_p, c_uint), lambda at, size: _text(at, size, _DRIVER)
        yield "nvmlSystemGetNVMLVersion", (c_void_p, c_uint), lambda at, size: _text(at, size, _NVML)
        yield "nvmlSystemGetCudaDriverVersion_v2", (c_void_p,), lambda at: _number(c_int, at, _CUDA)
        yield "nvmlDeviceGetCount_v2", (c_void_p,), lambda at: _number(c_uint, at, self._scenario.fleet.gpus_per_node)
        yield "nvmlDeviceGetHandleByIndex_v2", (c_uint, c_void_p), self._handle
        yield "nvmlDeviceGetIndex", (c_void_p, c_void_p), lambda h, at: _number(c_uint, at, _index(h))
        yield from self._texts()
        yield from self._numbers()
        yield from self._structures()
        yield from self._events()

    def _texts(self) -> Iterator[tuple[str, tuple[Any, ...], Callable[..., int]]]:
        node, seed = self._node.node, self._scenario.seed
        for name, show in (
                ("nvmlDeviceGetName", lambda _i: self._part.product),
                ("nvmlDeviceGetUUID", lambda i: gpu_uuid(seed, node, i)),
                ("nvmlDeviceGetSerial", lambda i: f"165{uuid5(_NAMESPACE, node).int % 10**9:09d}{i}"),
                ("nvmlDeviceGetVbiosVersion", lambda _i: "96.00.89.00.01")):
            yield name, (c_void_p, c_void_p, c_uint), _texter(show)

    def _numbers(self) -> Iterator[tuple[str, tuple[Any, ...], Callable[..., int]]]:
        part = self._part
        simple: dict[str, tuple[Any, Callable[[GpuState], float]]] = {
            "nvmlDeviceGetPowerUsage": (c_uint, lambda s: s.power_watts * 1e3),
            "nvmlDeviceGetEnforcedPowerLimit": (c_uint, lambda _s: part.power_limit_watts * 1e3),
            "nvmlDeviceGetPowerManagementLimit": (c_uint, lambda _s: part.power_limit_watts * 1e3),
            "nvmlDeviceGetCurrentClocksEventReasons": (c_ulonglong, lambda s: s.reasons),
            "nvmlDeviceGetCurrentClocksThrottleReasons": (c_ulonglong, lambda s: s.reasons),
            "nvmlDeviceGetPcieReplayCounter": (c_uint, lambda _s: 0),
            "nvmlDeviceGetCurrPcieLinkGeneration": (c_uint, lambda s: s.pcie_generation),
            "nvmlDeviceGetCurrPcieLinkWidth": (c_uint, lambda s: s.pcie_width),
            "nvmlDeviceGetMaxPcieLinkGeneration": (c_uint, lambda _s: part.pcie_generation),
            "nvmlDeviceGetMaxPcieLinkWidth": (c_uint, lambda _s: 16),
            "nvmlDeviceGetPersistenceMode": (c_uint, lambda _s: 1),
            "nvmlDeviceGetPerformanceState": (c_uint, lambda _s: 0),
            "nvmlDeviceGetTotalEnergyConsumption": (c_ulonglong, lambda s: s.energy_joules * 1e3),
        }
        for name, (kind, value) in simple.items():
            yield name, (c_void_p, c_void_p), self._one(kind, value)
        chosen: dict[str, Callable[[GpuState, int], float]] = {
            "nvmlDeviceGetTemperature": lambda s, _sensor: s.temperature_celsius,
            "nvmlDeviceGetClockInfo": lambda s, clock: (
                part.memory_clock_hertz if clock == 2 else s.sm_clock_hertz) / 1e6,
            "nvmlDeviceGetMaxClockInfo": lambda _s, clock: (
                part.memory_clock_hertz if clock == 2 else part.sm_clock_max_hertz) / 1e6,
        }
        for name, choose in chosen.items():
            yield name, (c_void_p, c_uint, c_void_p), self._chosen(choose)
        yield "nvmlDeviceGetTotalEccErrors", (c_void_p, c_uint, c_uint, c_void_p), self._ecc

    def _structures(self) -> Iterator[tuple[str, tuple[Any, ...], Callable[..., int]]]:
        yield "nvmlDeviceGetPciInfo_v3", (c_void_p, c_void_p), self._pci
        yield "nvmlDeviceGetMemoryInfo", (c_void_p, c_void_p), self._memory
        yield "nvmlDeviceGetMemoryInfo_v2", (c_void_p, c_void_p), self._memory_v2
        yield "nvmlDeviceGetUtilizationRates", (c_void_p, c_void_p), self._utilization
        yield "nvmlDeviceGetMarginTemperature", (c_void_p, c_void_p), self._margin
        yield "nvmlDeviceGetFieldValues", (c_void_p, c_int, c_void_p), self._fields
        for kind in ("Compute", "Graphics"):
            yield (f"nvmlDeviceGet{kind}RunningProcesses_v3", (c_void_p, c_void_p, c_void_p),
                   lambda _h, count, _at: _number(c_uint, count, 0))

    def _events(self) -> Iterator[tuple[str, tuple[Any, ...], Callable[..., int]]]:
        yield "nvmlEventSetCreate", (c_void_p,), lambda at: _number(c_void_p, at, _HANDLE_STEP)
        yield "nvmlEventSetFree", (c_void_p,), lambda _set: _OK
        yield ("nvmlDeviceGetSupportedEventTypes", (c_void_p, c_void_p),
               lambda _h, at: _number(c_ulonglong, at, pynvml.nvmlEventTypeXidCriticalError))
        yield "nvmlDeviceRegisterEvents", (c_void_p, c_ulonglong, c_void_p), self._register
        yield "nvmlEventSetWait_v2", (c_void_p, c_void_p, c_uint), self._wait

    def _state(self, handle: int) -> GpuState:
        """State now; a hung GPU does not return before its fault is over."""
        while True:
            state = gpu_state(self._scenario, self._node.node, _index(handle), self._node.clock.now())
            if not state.is_hung:
                return state
            time.sleep(0.02)

    def _guarded(self, handle: int, write: Callable[[GpuState], object]) -> int:
        state = self._state(handle)
        if state.is_lost:
            return _LOST
        write(state)
        return _OK

    def _one(self, kind: Any, value: Callable[[GpuState], float]) -> Callable[[int, int], int]:
        return lambda handle, at: self._guarded(handle, lambda state: _number(kind, at, round(value(state))))

    def _chosen(self, value: Callable[[GpuState, int], float]) -> Callable[[int, int, int], int]:
        return lambda handle, which, at: self._guarded(
            handle, lambda state: _number(c_uint, at, round(value(state, which))))

    def _handle(self, index: int, at: int) -> int:
        if index >= self._scenario.fleet.gpus_per_node:
            return _BAD_ARGUMENT
        return _number(c_void_p, at, (index + 1) * _HANDLE_STEP)

    def _ecc(self, handle: int, kind: int, counter: int, at: int) -> int:
        del counter
        is_uncorrected = kind == pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
        return self._guarded(handle, lambda s: _number(
            c_ulonglong, at, s.ecc_uncorrected if is_uncorrected else s.ecc_corrected))

    def _pci(self, handle: int, at: int) -> int:
        info, bus = pynvml.nvmlPciInfo_t.from_address(at), 0x1B + 0x10 * _index(handle)
        info.domain, info.bus, info.device, info.pciDeviceId = 0, bus, 0, self._part.pci_device_id
        info.busId, info.busIdLegacy = f"00000000:{bus:02X}:00.0".encode(), f"0000:{bus:02X}:00.0".encode()
        return _OK

    def _memory(self, handle: int, at: int) -> int:
        memory = pynvml.c_nvmlMemory_t.from_address(at)
        return self._guarded(handle, lambda _s: self._fill(memory))

    def _memory_v2(self, handle: int, at: int) -> int:
        memory = pynvml.c_nvmlMemory_v2_t.from_address(at)
        return self._guarded(handle, lambda _s: self._fill(memory))

    def _fill(self, memory: Any) -> None:
        memory.total = self._part.memory_bytes
        memory.used = int(self._part.memory_bytes * 0.9)
        memory.free = memory.total - memory.used

    def _utilization(self, handle: int, at: int) -> int:
        rates = pynvml.c_nvmlUtilization_t.from_address(at)

        def write(_state: GpuState) -> None:
            rates.gpu, rates.memory = 100, 60

        return self._guarded(handle, write)

    def _margin(self, handle: int, at: int) -> int:
        if not self._part.has_margin:
            return _UNSUPPORTED
        margin = pynvml.c_nvmlMarginTemperature_v1_t.from_address(at)
        return self._guarded(handle, lambda s: setattr(margin, "marginTemperature", round(s.margin_celsius)))

    def _fields(self, handle: int, count: int, at: int) -> int:
        size = ctypes.sizeof(pynvml.c_nvmlFieldValue_t)

        def write(state: GpuState) -> None:
            values = _field_values(state)
            for position in range(count):
                value = pynvml.c_nvmlFieldValue_t.from_address(at + position * size)
                value.nvmlReturn = _OK if value.fieldId in values else _UNSUPPORTED
                if value.fieldId in values:
                    value.valueType, number = values[value.fieldId]
                    setattr(value.value, _MEMBER[value.valueType], number)

        return self._guarded(handle, write)

    def _register(self, handle: int, kinds: int, events: int) -> int:
        del handle, kinds, events
        self._registered_at = self._node.clock.now()
        return _OK

    def _wait(self, events: int, at: int, milliseconds: int) -> int:
        """Deliver each Xid once, at its time; nothing from before the registration."""
        del events
        deadline = time.monotonic() + milliseconds / 1000
        while not self._deliver(at):
            if time.monotonic() >= deadline:
                return _TIMEOUT
            time.sleep(0.01)
        return _OK

    def _deliver(self, at: int) -> bool:
        now = self._node.clock.now()
        for index in range(self._scenario.fleet.gpus_per_node):
            for number, fault in enumerate(self._scenario.all_faults_on(self._node.node, f"gpu{index}")):
                due = fault.kind == "xid" and self._registered_at <= fault.at_seconds <= now
                if due and (index, number) not in self._delivered:
                    self._delivered.add((index, number))
                    data = pynvml.c_nvmlEventData_t.from_address(at)
                    data.device = ctypes.cast(c_void_p((index + 1) * _HANDLE_STEP), type(data.device))
                    data.eventType, data.eventData = pynvml.nvmlEventTypeXidCriticalError, fault.code or 0
                    return True
        return False


_MEMBER = {_DOUBLE: "dVal", _U32: "uiVal", _U64: "ullVal", _SIGNED: "siVal"}


def _field_values(state: GpuState) -> dict[int, tuple[int, float]]:
    """Field number -> type and value, in NVML's units (nvml.h, NVML_FI_DEV_*)."""
    return {
        82: (_U32, round(state.memory_temperature_celsius)), 83: (_U64, int(state.energy_joules * 1e3)),
        142: (_U32, state.remapped_corrected), 143: (_U32, state.remapped_uncorrected),
        144: (_U32, int(state.remap_pending)), 145: (_U32, int(state.remap_failed)),
        185: (_U32, round(state.power_watts * 1e3)), 186: (_U32, round(state.power_watts * 1e3)),
        193: (_SIGNED, -8), 194: (_SIGNED, -2), 230: (_U32, state.recovery_action),
        269: (_U64, int(state.thermal_seconds * 1e9)), 270: (_U64, int(state.thermal_seconds * 1e9)),
        271: (_U64, int(state.power_brake_seconds * 1e9)),
    }


def _index(handle: int) -> int:
    return handle // _HANDLE_STEP - 1


def _number(kind: Any, at: int, value: float) -> int:
    kind.from_address(at).value = value
    return _OK


def _text(at: int, size: int, text: str) -> int:
    raw = text.encode()[: size - 1] + b"\0"
    ctypes.memmove(at, raw, len(raw))
    return _OK


def _texter(show: Callable[[int], str]) -> Callable[[int, int, int], int]:
    return lambda handle, at, size: _text(at, size, show(_index(handle)))
