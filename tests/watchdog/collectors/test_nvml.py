"""Real pynvml over a scenario's C functions, some of them replaced by ones that answer oddly, as drivers do."""

import ctypes
from collections.abc import Callable, Iterator
from ctypes import c_int, c_uint, c_ulonglong, c_void_p
from typing import Any

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.clock import RunClock
from watchdog.collectors.nvml import NvmlReader, normal_bus_id
from watchdog.collectors.readings import GpuReading
from watchdog.simulator import library
from watchdog.simulator.node import SimulatedNode
from watchdog.simulator.scenario import scenario_path

NOT_SUPPORTED, NOT_FOUND, LOST, RESET_REQUIRED, UNKNOWN = 3, 6, 15, 16, 999


@pytest.fixture(autouse=True)
def driver() -> Iterator[None]:
    library.install(SimulatedNode(str(scenario_path("healthy")), "node001", RunClock.start()))
    yield
    library.uninstall()


@pytest.fixture
def reader() -> NvmlReader:
    opened = NvmlReader()
    opened.open()
    opened.identities()
    return opened


def answer(name: str, types: tuple[Any, ...], function: Callable[..., int]) -> None:
    """Let `function` stand for a symbol of the driver's library."""
    setattr(pynvml.nvmlLib, name, ctypes.CFUNCTYPE(c_int, *types)(function))
    pynvml._nvmlGetFunctionPointer_cache.clear()


def answer_margin(*codes: int) -> list[int]:
    """Answer calls for the margin with these codes in turn, the last for good, and 7 degrees; returns what was sent."""
    sent: list[int] = []

    def margin(_handle: int, at: int) -> int:
        sent.append(codes[min(len(sent), len(codes) - 1)])
        pynvml.c_nvmlMarginTemperature_v1_t.from_address(at).marginTemperature = 7
        return sent[-1]

    answer("nvmlDeviceGetMarginTemperature", (c_void_p, c_void_p), margin)
    return sent


def answer_fields(values: dict[int, tuple[int, int, str, float]]) -> list[list[int]]:
    """Answer batched reads with (return code, value type, member, value) by field; returns the fields of each call."""
    calls: list[list[int]] = []

    def fields(_handle: int, count: int, at: int) -> int:
        array = (pynvml.c_nvmlFieldValue_t * count).from_address(at)
        calls.append([value.fieldId for value in array])
        for value in array:
            value.nvmlReturn, value.valueType, member, number = values.get(
                value.fieldId, (NOT_SUPPORTED, 1, "uiVal", 0)
            )
            setattr(value.value, member, number)
        return 0

    answer("nvmlDeviceGetFieldValues", (c_void_p, c_int, c_void_p), fields)
    return calls


def test_units_are_ours(reader: NvmlReader) -> None:
    reading = reader.read_one(0, 4.0)
    assert reading.at_seconds == 4.0
    assert reading.power_watts is not None
    assert 10 < reading.power_watts < 700
    assert reading.sm_clock_hertz is not None
    assert 1e8 < reading.sm_clock_hertz < 3e9
    assert reading.remap_pending is False


def test_an_item_that_is_not_supported_is_asked_for_once(reader: NvmlReader) -> None:
    sent = answer_margin(NOT_SUPPORTED)
    assert [reader.read_one(0, 0.0).temperature_margin_celsius for _ in range(3)] == [None] * 3
    assert sent == [NOT_SUPPORTED]
    reader.read_one(1, 0.0)
    assert sent == [NOT_SUPPORTED] * 2


def test_unknown_is_tried_once_more(reader: NvmlReader) -> None:
    sent = answer_margin(UNKNOWN, 0)
    assert reader.read_one(0, 0.0).temperature_margin_celsius == 7
    assert sent == [UNKNOWN, 0]


def test_unknown_twice_is_none_and_asked_again_at_the_next_look(reader: NvmlReader) -> None:
    sent = answer_margin(UNKNOWN, UNKNOWN, 0)
    assert reader.read_one(0, 0.0).temperature_margin_celsius is None
    assert reader.read_one(0, 1.0).temperature_margin_celsius == 7
    assert sent == [UNKNOWN, UNKNOWN, 0]


def test_a_symbol_that_an_old_driver_lacks_is_none(reader: NvmlReader) -> None:
    delattr(pynvml.nvmlLib, "nvmlDeviceGetMarginTemperature")
    pynvml._nvmlGetFunctionPointer_cache.clear()
    reading = reader.read_one(0, 0.0)
    assert reading.temperature_margin_celsius is None
    assert reading.temperature_celsius is not None


@pytest.mark.parametrize("code", [LOST, RESET_REQUIRED])
def test_a_gpu_that_is_gone_is_lost_and_nothing_else(reader: NvmlReader, code: int) -> None:
    answer_margin(code)
    assert reader.read_one(0, 5.0) == GpuReading(uuid=reader.uuids[0], at_seconds=5.0, lost=True)


def test_each_value_of_a_batch_has_a_code_and_a_type_of_its_own(reader: NvmlReader) -> None:
    sent = answer_fields(
        {
            82: (0, 5, "siVal", -5),
            83: (0, 3, "ullVal", 2**40),
            230: (0, 6, "usVal", 2),
            271: (0, 3, "ullVal", 1_500_000_000),
            142: (UNKNOWN, 1, "uiVal", 9),
        }
    )
    reading = reader.read_one(0, 0.0)
    assert reading.memory_temperature_celsius == -5
    assert reading.energy_joules == pytest.approx(2**40 / 1000)
    assert reading.recovery_action == 2
    assert reading.power_brake_seconds == pytest.approx(1.5)
    assert reading.remapped_rows_corrected is None
    assert reading.remap_failed is None
    calls = [fields for fields in sent if 165 not in fields]
    assert calls[1:] == [[142]]
    reader.read_one(0, 1.0)
    assert sent[-2:] == [[82, 83, 142, 230, 271], [142]]


def test_a_lost_code_in_a_batch_is_a_lost_gpu(reader: NvmlReader) -> None:
    answer_fields({230: (LOST, 1, "uiVal", 0)})
    assert reader.read_one(0, 0.0).lost


def test_nvlink_errors_of_all_kinds_are_added(reader: NvmlReader) -> None:
    answer_fields(
        {38: (0, 3, "ullVal", 1), 45: (0, 3, "ullVal", 20), 52: (0, 3, "ullVal", 300), 59: (0, 3, "ullVal", 4000)}
    )
    assert reader.read_one(0, 0.0).nvlink_errors_total == 4321
    answer_fields({})
    assert reader.read_one(0, 0.0).nvlink_errors_total is None


def test_a_total_with_a_part_missing_for_once_is_none_and_not_smaller(reader: NvmlReader) -> None:
    whole = {
        38: (0, 3, "ullVal", 1.0),
        45: (0, 3, "ullVal", 20.0),
        52: (0, 3, "ullVal", 300.0),
        269: (0, 3, "ullVal", 2e9),
        270: (0, 3, "ullVal", 1e9),
    }
    answer_fields({field: (code, kind, member, int(number)) for field, (code, kind, member, number) in whole.items()})
    before = reader.read_one(0, 0.0)
    answer_fields(
        {
            field: (UNKNOWN if field in (52, 270) else code, kind, member, int(number))
            for field, (code, kind, member, number) in whole.items()
        }
    )
    during = reader.read_one(0, 1.0)
    assert (before.nvlink_errors_total, before.thermal_throttle_seconds) == (321, 3.0)
    assert (during.nvlink_errors_total, during.thermal_throttle_seconds) == (None, None)


def test_a_byte_counter_of_32_bits_is_not_read_as_it_wraps_within_seconds(reader: NvmlReader) -> None:
    calls = answer_fields({197: (0, 1, "uiVal", 7), 198: (0, 3, "ullVal", 2**40)})
    reading = reader.read_one(0, 0.0)
    assert (reading.pcie_tx_bytes_total, reading.pcie_rx_bytes_total) == (None, 2**40)
    reader.read_one(0, 1.0)
    assert calls[-1] == [198]


def test_links_that_are_up_are_counted_among_those_that_the_gpu_has(reader: NvmlReader) -> None:
    answered: list[list[int]] = []

    def fields(_handle: int, count: int, at: int) -> int:
        array = (pynvml.c_nvmlFieldValue_t * count).from_address(at)
        answered.append([value.scopeId for value in array if value.fieldId == 165])
        for value in array:
            is_link = value.fieldId == 165 and value.scopeId < 4
            value.nvmlReturn, value.valueType = (0 if is_link else 2 if value.fieldId == 165 else NOT_SUPPORTED), 1
            value.value.uiVal = int(value.scopeId != 2)
        return 0

    answer("nvmlDeviceGetFieldValues", (c_void_p, c_int, c_void_p), fields)
    assert [reader.read_one(0, 0.0).nvlink_links_up for _ in range(11)] == [3, *[None] * 9, 3]
    assert [scopes for scopes in answered if scopes] == [list(range(18)), [0, 1, 2, 3]]


def test_what_changes_once_in_weeks_is_read_at_every_tenth_look(reader: NvmlReader) -> None:
    states = [reader.read_one(0, 0.0).fabric_state for _ in range(11)]
    assert states == [3, *[None] * 9, 3]


def test_the_fabric_of_an_older_driver_is_read_through_the_older_structure(reader: NvmlReader) -> None:
    versions = []

    def fabric(_handle: int, at: int) -> int:
        info = pynvml.c_nvmlGpuFabricInfo_v2_t.from_address(at)
        versions.append(info.version)
        info.state, info.status = 3, 15
        return 0 if info.version == pynvml.nvmlGpuFabricInfo_v2 else 25

    answer("nvmlDeviceGetGpuFabricInfoV", (c_void_p, c_void_p), fabric)
    reading = reader.read_one(0, 0.0)
    assert (reading.fabric_state, reading.fabric_status, reading.fabric_health) == (3, 15, None)
    assert versions == [pynvml.nvmlGpuFabricInfo_v3, pynvml.nvmlGpuFabricInfo_v2]


def test_a_fabric_that_is_not_yet_registered_has_no_status(reader: NvmlReader) -> None:
    answer(
        "nvmlDeviceGetGpuFabricInfoV",
        (c_void_p, c_void_p),
        lambda _h, at: setattr(pynvml.c_nvmlGpuFabricInfo_v3_t.from_address(at), "state", 2) or 0,
    )
    reading = reader.read_one(0, 0.0)
    assert (reading.fabric_state, reading.fabric_status) == (2, None)


def test_what_only_root_may_ask_is_none_for_an_ordinary_user(reader: NvmlReader) -> None:
    answer("nvmlDeviceGetSramEccErrorStatus", (c_void_p, c_void_p), lambda _h, _at: 4)
    assert reader.read_one(0, 0.0).sram_threshold_exceeded is None


@given(st.lists(st.tuples(st.integers(0, 10**10), st.integers(0, 10**10)), min_size=1, max_size=8), st.integers(0, 8))
def test_thermal_time_grows_by_the_longer_slowdown_and_never_falls_even_for_a_new_reader(
    steps: list[tuple[int, int]], renewed_at: int
) -> None:
    reader, software, hardware, totals = NvmlReader(), 0.0, 0.0, []
    for number, (more_software, more_hardware) in enumerate(steps):
        reader = NvmlReader() if number == renewed_at else reader
        software, hardware = software + more_software, hardware + more_hardware
        totals.append(reader._thermal_seconds(0, software, hardware) or 0.0)
        if number not in (0, renewed_at):
            assert totals[-1] - totals[-2] == max(more_software, more_hardware)
    assert totals == sorted(totals)


def test_a_gpu_lost_from_the_start_is_there_and_lost() -> None:
    def handle(index: int, at: int) -> int:
        c_void_p.from_address(at).value = (index + 1) * 64
        return LOST if index == 3 else 0

    answer("nvmlDeviceGetHandleByIndex_v2", (c_uint, c_void_p), handle)
    reader = NvmlReader()
    reader.open()
    identity = reader.identities()[3]
    assert (identity.index, identity.uuid, identity.name) == (3, "unknown-gpu3", "unknown GPU")
    assert len(set(reader.uuids)) == 8
    assert reader.read_one(3, 1.0) == GpuReading(uuid="unknown-gpu3", at_seconds=1.0, lost=True)
    assert not reader.read_one(4, 1.0).lost


def test_indices_keep_their_meaning_when_a_gpu_fell_off(reader: NvmlReader) -> None:
    stayed = reader.uuids[:7]
    before = ("GPU-that-fell-off", *stayed)

    def by_uuid(uuid: bytes, at: int) -> int:
        if uuid.decode() not in stayed:
            return NOT_FOUND
        c_void_p.from_address(at).value = (stayed.index(uuid.decode()) + 1) * 64
        return 0

    answer("nvmlDeviceGetHandleByUUID", (ctypes.c_char_p, c_void_p), by_uuid)
    answer("nvmlDeviceGetCount_v2", (c_void_p,), lambda at: setattr(c_uint.from_address(at), "value", 7) or 0)
    later = NvmlReader(before)
    later.open()
    readings = [later.read_one(index, 0.0) for index in range(8)]
    assert tuple(reading.uuid for reading in readings) == before
    assert [reading.lost for reading in readings] == [True] + [False] * 7


def test_without_events_there_are_no_xids() -> None:
    answer("nvmlDeviceGetSupportedEventTypes", (c_void_p, c_void_p), lambda _h, _at: NOT_SUPPORTED)
    answer("nvmlEventSetCreate", (c_void_p,), lambda _at: NOT_SUPPORTED)
    reader = NvmlReader()
    reader.open()
    assert not reader.read_one(0, 0.0).lost
    assert reader.xids(0.0) == ()


def test_an_event_set_that_broke_is_made_anew(reader: NvmlReader) -> None:
    registered: list[int] = []
    answer("nvmlDeviceRegisterEvents", (c_void_p, c_ulonglong, c_void_p), lambda h, _k, _s: registered.append(h) or 0)
    answer("nvmlEventSetWait_v2", (c_void_p, c_void_p, c_uint), lambda _s, _at, _ms: UNKNOWN)
    assert reader.xids(0.0) == ()
    assert len(registered) == 8


@pytest.mark.parametrize(
    ("nvml", "kernel"),
    [("00000000:1B:00.0", "0000:1b:00.0"), (b"0000:AF:00.0", "0000:af:00.0"), ("0001:00:00.0", "0001:00:00.0")],
)
def test_a_bus_id_is_as_the_kernel_writes_it(nvml: str | bytes, kernel: str) -> None:
    assert normal_bus_id(nvml) == kernel
