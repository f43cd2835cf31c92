"""The C functions of NVML over a scenario: real pynvml code calls them through ctypes, with the real signatures.

Each function is a ctypes callback that writes through the pointers it is given. pynvml finds them where it would find
the symbols of libnvidia-ml.so.1; a name that is not here is a symbol that the library does not have. What a function
says comes from `model`; here is only how C says it.
"""

import ctypes
import logging
import math
import time
from collections.abc import Callable, Iterator
from ctypes import c_char_p, c_int, c_uint, c_ulonglong, c_void_p
from typing import Any

import pynvml

from watchdog.simulator.event_sets import XID, EventSets
from watchdog.simulator.field_values import MEMBER, field_value, link_errors
from watchdog.simulator.identity import CUDA, DRIVER, NVML, VBIOS, gpu_bus, gpu_bus_id, gpu_serial, gpu_uuid
from watchdog.simulator.model import GpuState, gpu_state
from watchdog.simulator.node import SimulatedNode
from watchdog.simulator.parts import PARTS, Part
from watchdog.simulator.structures import (
    fabric,
    margin,
    number,
    remapped_rows,
    row_histogram,
    sram_errors,
    temperature,
    utilization,
)

_OK, _UNINITIALIZED, _INVALID, _UNSUPPORTED, _NOT_FOUND = 0, 1, 2, 3, 6
_TIMEOUT, _LOST, _UNKNOWN = 10, 15, 999
_HANDLE_STEP = 64
"""Handles are (index + 1) times this: pointers that nobody follows."""
_SLICE_SECONDS = 0.02
_MOMENT_REAL_SECONDS = 0.02
"""A look at one GPU takes a millisecond: its calls are answered from one state."""
"""Real time between two looks of a call that blocks. Sleeping releases the GIL, as a call into the driver does."""
_PCIE_LANES = 16
_MEMORY_CLOCK = 2
"""`nvmlClockType_t`."""

_log = logging.getLogger(__name__)
_Symbols = Iterator[tuple[str, tuple[Any, ...], Callable[..., int]]]


def install(node: SimulatedNode) -> None:
    """Make pynvml of this process talk to `node`; raises `UsageError` for a broken scenario."""
    pynvml.nvmlLib = Library(node)
    pynvml._nvmlGetFunctionPointer_cache.clear()


def uninstall() -> None:
    """Make pynvml look for the real library again."""
    pynvml.nvmlLib = None
    pynvml._nvmlGetFunctionPointer_cache.clear()


class Library:
    """Holds the callbacks alive; an attribute for each exported symbol, AttributeError for any other."""

    def __init__(self, node: SimulatedNode) -> None:
        """Build the symbols over the scenario of `node`."""
        self._clock = node.clock
        self._moments: dict[int, tuple[float, GpuState]] = {}
        self._node = node.node
        self._scenario = node.scenario()
        self._part = PARTS[self._scenario.fleet.part]
        self._num_gpus = self._scenario.fleet.gpus_per_node
        self._events = EventSets(self._scenario, node.node, node.clock.now)
        self._num_users = 0
        self._error_texts: dict[int, Any] = {}
        for name, argument_types, function in self._lifetime():
            setattr(self, name, _callback(argument_types, function))
        for symbols in (
            self._system(),
            self._identities(),
            self._numbers(),
            self._structures(),
            self._links(),
            self._event_calls(),
        ):
            for name, argument_types, function in symbols:
                setattr(self, name, _callback(argument_types, self._if_initialized(function)))
        # A char * comes back, which pynvml declares on its side; as a callback's result it must be a plain address.
        self.nvmlErrorString = ctypes.CFUNCTYPE(c_void_p, c_int)(self._error_text)

    def _lifetime(self) -> _Symbols:
        yield "nvmlInitWithFlags", (c_uint,), lambda _flags: self._use(1)
        yield "nvmlInit_v2", (), lambda: self._use(1)
        yield "nvmlShutdown", (), lambda: self._use(-1) if self._num_users else _UNINITIALIZED

    def _system(self) -> _Symbols:
        for name, text in (("nvmlSystemGetDriverVersion", DRIVER), ("nvmlSystemGetNVMLVersion", NVML)):
            yield name, (c_void_p, c_uint), _constant_text(text)
        for name in ("nvmlSystemGetCudaDriverVersion", "nvmlSystemGetCudaDriverVersion_v2"):
            yield name, (c_void_p,), lambda at: number(c_int, at, CUDA)
        yield "nvmlDeviceGetCount_v2", (c_void_p,), lambda at: number(c_uint, at, self._num_gpus)
        yield "nvmlDeviceGetHandleByIndex_v2", (c_uint, c_void_p), self._handle
        yield "nvmlDeviceGetHandleByUUID", (c_char_p, c_void_p), self._handle_finder(self._uuid)
        yield "nvmlDeviceGetHandleBySerial", (c_char_p, c_void_p), self._handle_finder(self._serial)
        yield "nvmlDeviceGetHandleByPciBusId_v2", (c_char_p, c_void_p), self._handle_finder(gpu_bus_id)

    def _identities(self) -> _Symbols:
        """What the driver keeps in memory: it answers for a GPU that hangs, too."""
        for name, show in {
            "nvmlDeviceGetName": lambda _i: self._part.product,
            "nvmlDeviceGetUUID": self._uuid,
            "nvmlDeviceGetSerial": self._serial,
            "nvmlDeviceGetVbiosVersion": lambda _i: VBIOS,
        }.items():
            yield name, (c_void_p, c_void_p, c_uint), self._texter(show)
        for name in ("nvmlDeviceGetIndex", "nvmlDeviceGetMinorNumber"):
            yield name, (c_void_p, c_void_p), self._for_gpu(lambda index, at: number(c_uint, at, index))
        yield "nvmlDeviceGetPciInfo_v3", (c_void_p, c_void_p), self._for_gpu(self._pci)

    def _numbers(self) -> _Symbols:
        for name, (kind, value) in _simple(self._part).items():
            yield name, (c_void_p, c_void_p), self._one(kind, value)
        for name, choose in _chosen(self._part).items():
            yield name, (c_void_p, c_uint, c_void_p), self._chooser(choose)
        yield (
            "nvmlDeviceGetTotalEccErrors",
            (c_void_p, c_uint, c_uint, c_void_p),
            self._guarded(
                lambda state, kind, _counter, at: number(
                    c_ulonglong,
                    at,
                    state.ecc_uncorrected if kind == pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED else state.ecc_corrected,
                )
            ),
        )
        yield "nvmlDeviceGetRemappedRows", (c_void_p, *(c_void_p,) * 4), self._guarded(remapped_rows)
        yield (
            "nvmlDeviceGetEccMode",
            (c_void_p, c_void_p, c_void_p),
            self._guarded(lambda _state, now, pending: number(c_uint, now, 1) or number(c_uint, pending, 1)),
        )
        # No fan on these boards; thresholds gave way to T.Limit.
        yield "nvmlDeviceGetFanSpeed", (c_void_p, c_void_p), self._for_gpu(_unsupported)
        yield "nvmlDeviceGetTemperatureThreshold", (c_void_p, c_uint, c_void_p), self._for_gpu(_unsupported)

    def _structures(self) -> _Symbols:
        for name, structure in (
            ("nvmlDeviceGetMemoryInfo", pynvml.c_nvmlMemory_t),
            ("nvmlDeviceGetMemoryInfo_v2", pynvml.c_nvmlMemory_v2_t),
        ):
            yield name, (c_void_p, c_void_p), self._memory(structure)
        yield "nvmlDeviceGetUtilizationRates", (c_void_p, c_void_p), self._guarded(utilization)
        yield "nvmlDeviceGetRowRemapperHistogram", (c_void_p, c_void_p), self._guarded(row_histogram)
        yield "nvmlDeviceGetSramEccErrorStatus", (c_void_p, c_void_p), self._guarded(sram_errors)
        yield (
            "nvmlDeviceGetGpuFabricInfoV",
            (c_void_p, c_void_p),
            self._guarded(fabric) if self._part.has_fabric else self._for_gpu(_unsupported),
        )
        for kind in ("Encoder", "Decoder"):
            yield (
                f"nvmlDeviceGet{kind}Utilization",
                (c_void_p, c_void_p, c_void_p),
                self._guarded(lambda _state, rate, period: number(c_uint, rate, 0) or number(c_uint, period, 167_000)),
            )
        yield "nvmlDeviceGetTemperatureV", (c_void_p, c_void_p), self._guarded(temperature)
        yield (
            "nvmlDeviceGetMarginTemperature",
            (c_void_p, c_void_p),
            self._guarded(margin) if self._part.has_margin else self._for_gpu(_unsupported),
        )
        yield "nvmlDeviceGetFieldValues", (c_void_p, c_int, c_void_p), self._guarded(self._fields)
        for kind in ("Compute", "Graphics"):
            yield (
                f"nvmlDeviceGet{kind}RunningProcesses_v3",
                (c_void_p, c_void_p, c_void_p),
                self._guarded(lambda _state, count, _infos: number(c_uint, count, 0)),
            )

    def _links(self) -> _Symbols:
        nvlinks = self._part.nvlinks

        def state_of(_state: GpuState, link: int, at: int) -> int:
            return _link(nvlinks, link) or number(c_uint, at, 1)

        def errors_of(state: GpuState, link: int, _counter: int, at: int) -> int:
            return _link(nvlinks, link) or number(c_ulonglong, at, link_errors(state, link))

        yield "nvmlDeviceGetNvLinkState", (c_void_p, c_uint, c_void_p), self._guarded(state_of)
        yield "nvmlDeviceGetNvLinkErrorCounter", (c_void_p, c_uint, c_uint, c_void_p), self._guarded(errors_of)

    def _event_calls(self) -> _Symbols:
        yield "nvmlEventSetCreate", (c_void_p,), lambda at: number(c_void_p, at, self._events.make())
        yield "nvmlEventSetFree", (c_void_p,), lambda handle: _OK if self._events.free(handle) else _INVALID
        yield (
            "nvmlDeviceGetSupportedEventTypes",
            (c_void_p, c_void_p),
            self._for_gpu(lambda _index, at: number(c_ulonglong, at, XID)),
        )
        yield (
            "nvmlDeviceRegisterEvents",
            (c_void_p, c_ulonglong, c_void_p),
            self._for_gpu(
                lambda index, kinds, handle: _OK if self._events.register(handle, index, kinds) else _INVALID
            ),
        )
        yield "nvmlEventSetWait_v2", (c_void_p, c_void_p, c_uint), self._wait

    def _use(self, change: int) -> int:
        self._num_users += change
        return _OK

    def _if_initialized(self, function: Callable[..., int]) -> Callable[..., int]:
        return lambda *arguments: function(*arguments) if self._num_users else _UNINITIALIZED

    def _error_text(self, code: int) -> int:
        text = pynvml.NVMLError._errcode_to_string.get(code, f"Unknown Error {code}")
        return ctypes.addressof(self._error_texts.setdefault(code, ctypes.create_string_buffer(text.encode())))

    def _uuid(self, index: int) -> str:
        return gpu_uuid(self._scenario.seed, self._node, index)

    def _serial(self, index: int) -> str:
        return gpu_serial(self._scenario.seed, self._node, index)

    def _state(self, index: int) -> GpuState:
        """State now; a hung GPU does not return before its fault is over."""
        while True:
            state = self._seen(index)
            if not state.is_hung:
                return state
            time.sleep(_SLICE_SECONDS)

    def _seen(self, index: int) -> GpuState:
        """State of a moment: calls that come together see the same one, and it is worked out once for all of them."""
        now = self._clock.now()
        at, state = self._moments.get(index, (-math.inf, None))
        if state is None or not 0 <= now - at < _MOMENT_REAL_SECONDS * self._clock.speed:
            state = gpu_state(self._scenario, self._node, index, now)
            self._moments[index] = (now, state)
        return state

    def _for_gpu(self, function: Callable[..., int]) -> Callable[..., int]:
        """`function` with the index in place of the handle; INVALID_ARGUMENT for a handle that was never given."""

        def call(handle: int | None, *arguments: Any) -> int:
            index, rest = divmod(handle or 0, _HANDLE_STEP)
            return _INVALID if rest or not 0 < index <= self._num_gpus else function(index - 1, *arguments)

        return call

    def _guarded(self, function: Callable[..., int]) -> Callable[..., int]:
        """`function` with the GPU's state in place of the handle; blocks while it hangs; GPU_IS_LOST once it is."""

        def call(index: int, *arguments: Any) -> int:
            state = self._state(index)
            return _LOST if state.is_lost else function(state, *arguments)

        return self._for_gpu(call)

    def _one(self, kind: Any, value: Callable[[GpuState], float]) -> Callable[..., int]:
        return self._guarded(lambda state, at: number(kind, at, round(value(state))))

    def _chooser(self, value: Callable[[GpuState, int], float]) -> Callable[..., int]:
        return self._guarded(lambda state, which, at: number(c_uint, at, round(value(state, which))))

    def _texter(self, show: Callable[[int], str]) -> Callable[..., int]:
        return self._for_gpu(lambda index, at, size: _text(at, size, show(index)))

    def _handle(self, index: int, at: int) -> int:
        if index >= self._num_gpus:
            return _INVALID
        if self._seen(index).is_lost:
            return _LOST
        return number(c_void_p, at, (index + 1) * _HANDLE_STEP)

    def _handle_finder(self, name_of: Callable[[int], str]) -> Callable[[bytes, int], int]:
        def find(name: bytes, at: int) -> int:
            wanted = name.decode(errors="replace").lower()
            index = next((i for i in range(self._num_gpus) if name_of(i).lower() == wanted), None)
            return _NOT_FOUND if index is None else self._handle(index, at)

        return find

    def _pci(self, index: int, at: int) -> int:
        info = pynvml.nvmlPciInfo_t.from_address(at)
        info.domain, info.bus, info.device, info.pciDeviceId = 0, gpu_bus(index), 0, self._part.pci_device_id
        info.busId, info.busIdLegacy = gpu_bus_id(index).encode(), gpu_bus_id(index)[4:].encode()
        return _OK

    def _memory(self, structure: Any) -> Callable[..., int]:
        total = self._part.memory_bytes

        def write(_state: GpuState, at: int) -> int:
            memory = structure.from_address(at)
            memory.total, memory.used = total, int(total * 0.9)
            memory.free = memory.total - memory.used
            return _OK

        return self._guarded(write)

    def _fields(self, state: GpuState, count: int, at: int) -> int:
        size = ctypes.sizeof(pynvml.c_nvmlFieldValue_t)
        for position in range(count):
            value = pynvml.c_nvmlFieldValue_t.from_address(at + position * size)
            found = field_value(value.fieldId, value.scopeId, state, self._part)
            value.timestamp, value.latencyUsec = time.time_ns() // 1000, 1
            value.nvmlReturn = _UNSUPPORTED if found is None else _OK
            if found is not None:
                value.valueType, number = found
                setattr(value.value, MEMBER[value.valueType], number)
        return _OK

    def _wait(self, handle: int, at: int, milliseconds: int) -> int:
        if not self._events.is_known(handle):
            return _INVALID
        deadline = time.monotonic() + milliseconds / 1000
        while (event := self._events.take(handle)) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return _TIMEOUT
            time.sleep(min(_SLICE_SECONDS, left))
        data = pynvml.c_nvmlEventData_t.from_address(at)
        data.device = ctypes.cast(c_void_p((event[0] + 1) * _HANDLE_STEP), type(data.device))
        data.eventType, data.eventData = XID, event[1]
        return _OK


def _simple(part: Part) -> dict[str, tuple[Any, Callable[[GpuState], float]]]:
    """Functions of a handle and a pointer to one number: its C type and its value in NVML's units."""
    return {
        "nvmlDeviceGetPowerUsage": (c_uint, lambda s: s.power_watts * 1e3),
        "nvmlDeviceGetEnforcedPowerLimit": (c_uint, lambda _s: part.power_limit_watts * 1e3),
        "nvmlDeviceGetPowerManagementLimit": (c_uint, lambda _s: part.power_limit_watts * 1e3),
        "nvmlDeviceGetPowerManagementDefaultLimit": (c_uint, lambda _s: part.power_limit_watts * 1e3),
        "nvmlDeviceGetTotalEnergyConsumption": (c_ulonglong, lambda s: s.energy_joules * 1e3),
        "nvmlDeviceGetCurrentClocksEventReasons": (c_ulonglong, lambda s: s.reasons),
        "nvmlDeviceGetCurrentClocksThrottleReasons": (c_ulonglong, lambda s: s.reasons),
        "nvmlDeviceGetPcieReplayCounter": (c_uint, lambda _s: 0),
        "nvmlDeviceGetCurrPcieLinkGeneration": (c_uint, lambda s: s.pcie_generation),
        "nvmlDeviceGetCurrPcieLinkWidth": (c_uint, lambda s: s.pcie_width),
        "nvmlDeviceGetMaxPcieLinkGeneration": (c_uint, lambda _s: part.pcie_generation),
        "nvmlDeviceGetMaxPcieLinkWidth": (c_uint, lambda _s: _PCIE_LANES),
        "nvmlDeviceGetPersistenceMode": (c_uint, lambda _s: 1),
        "nvmlDeviceGetPerformanceState": (c_uint, lambda _s: 0),
    }


def _chosen(part: Part) -> dict[str, Callable[[GpuState, int], float]]:
    """Functions of a handle, a choice and a pointer to one unsigned number, in degrees Celsius or megahertz."""
    return {
        "nvmlDeviceGetTemperature": lambda s, _sensor: s.temperature_celsius,
        "nvmlDeviceGetClockInfo": lambda s, clock: (
            (part.memory_clock_hertz if clock == _MEMORY_CLOCK else s.sm_clock_hertz) / 1e6
        ),
        "nvmlDeviceGetMaxClockInfo": lambda _s, clock: (
            (part.memory_clock_hertz if clock == _MEMORY_CLOCK else part.sm_clock_max_hertz) / 1e6
        ),
    }


def _callback(argument_types: tuple[Any, ...], function: Callable[..., int]) -> Any:
    """`function` as a C function. ctypes would turn an exception in it into success, with nothing written."""

    def call(*arguments: Any) -> int:
        try:
            return function(*arguments)
        except Exception:  # noqa: BLE001 - C has no exceptions; UNKNOWN is never taken for healthy
            _log.exception("the simulated NVML failed")
            return _UNKNOWN

    return ctypes.CFUNCTYPE(c_int, *argument_types)(call)


def _unsupported(*_arguments: object) -> int:
    return _UNSUPPORTED


def _text(at: int, size: int, text: str) -> int:
    raw = text.encode()[: size - 1] + b"\0"
    ctypes.memmove(at, raw, len(raw))
    return _OK


def _constant_text(text: str) -> Callable[[int, int], int]:
    return lambda at, size: _text(at, size, text)


def _link(nvlinks: int, link: int) -> int:
    """OK for a link that the part has; without any, NOT_SUPPORTED."""
    if not nvlinks:
        return _UNSUPPORTED
    return _OK if link < nvlinks else _INVALID
