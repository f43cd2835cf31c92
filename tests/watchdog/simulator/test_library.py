"""Real pynvml over the simulated C functions."""

from collections.abc import Callable
from io import StringIO
from threading import Event, Thread

import pynvml
import pytest

from watchdog.simulator.identity import DRIVER, gpu_uuid

Driver = Callable[..., None]


def fault(kind: str, keys: str = "", on: str = "node001/gpu0", at: str = "0s") -> str:
    return f'[[fault]]\non = "{on}"\nkind = "{kind}"\nat = "{at}"\n{keys}\n'


def gpu(index: int = 0) -> object:
    return pynvml.nvmlDeviceGetHandleByIndex(index)


def test_the_system_says_its_versions_and_how_many_gpus_it_has(driver: Driver) -> None:
    driver()
    assert pynvml.nvmlSystemGetDriverVersion() == DRIVER
    assert pynvml.nvmlSystemGetNVMLVersion() == f"12.{DRIVER}"
    assert pynvml.nvmlSystemGetCudaDriverVersion() == pynvml.nvmlSystemGetCudaDriverVersion_v2() == 12080
    assert pynvml.nvmlDeviceGetCount() == 8
    assert pynvml.nvmlErrorString(15) == "GPU is lost"
    assert pynvml.nvmlErrorString(12345) == "Unknown Error 12345"


def test_a_gpu_says_who_it_is(driver: Driver) -> None:
    driver()
    handle = gpu(3)
    assert pynvml.nvmlDeviceGetIndex(handle) == pynvml.nvmlDeviceGetMinorNumber(handle) == 3
    assert pynvml.nvmlDeviceGetName(handle) == "NVIDIA H100 80GB HBM3"
    assert pynvml.nvmlDeviceGetUUID(handle) == gpu_uuid(7, "node001", 3)
    assert pynvml.nvmlDeviceGetVbiosVersion(handle) == "96.00.89.00.01"
    pci = pynvml.nvmlDeviceGetPciInfo(handle)
    assert (pci.busId, pci.busIdLegacy, pci.bus) == ("00000000:24:00.0", "0000:24:00.0", 0x24)
    assert pci.pciDeviceId == 0x233010DE


def test_every_gpu_is_found_by_its_uuid_serial_and_bus(driver: Driver) -> None:
    driver()
    for index in range(8):
        handle = gpu(index)
        serial = pynvml.nvmlDeviceGetSerial(handle)
        assert len(serial) == 13
        for found in (
            pynvml.nvmlDeviceGetHandleByUUID(pynvml.nvmlDeviceGetUUID(handle).encode()),
            pynvml.nvmlDeviceGetHandleBySerial(serial.encode()),
            pynvml.nvmlDeviceGetHandleByPciBusId(pynvml.nvmlDeviceGetPciInfo(handle).busId.encode()),
        ):
            assert pynvml.nvmlDeviceGetIndex(found) == index
    with pytest.raises(pynvml.NVMLError_NotFound):
        pynvml.nvmlDeviceGetHandleByUUID(b"GPU-none")


def test_uuids_and_serials_differ_by_node_and_stay_the_same(driver: Driver) -> None:
    seen = []
    for node in ("node001", "node002", "node001"):
        driver(node=node)
        seen.append([(pynvml.nvmlDeviceGetUUID(gpu(i)), pynvml.nvmlDeviceGetSerial(gpu(i))) for i in range(8)])
    assert seen[0] == seen[2]
    assert len({name for node in seen[:2] for names in node for name in names}) == 32


def test_a_healthy_gpu_is_at_its_power_cap_and_warm(driver: Driver) -> None:
    driver()
    handle = gpu()
    assert 600_000 < pynvml.nvmlDeviceGetPowerUsage(handle) <= 700_000
    assert pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) == 700_000
    assert pynvml.nvmlDeviceGetPowerManagementLimit(handle) == 700_000
    assert pynvml.nvmlDeviceGetPowerManagementDefaultLimit(handle) == 700_000
    assert 50 < pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU) < 80
    assert 50 < pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU) < 80
    assert 7 < pynvml.nvmlDeviceGetMarginTemperature(handle) < 37
    assert pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle) == 0x4
    assert pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle) == 0x4
    assert 1600 < pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM) < 1900
    assert pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM) == 2619
    assert pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM) == 1980
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) >= 700_000 * 0.97 * 10
    assert (pynvml.nvmlDeviceGetPersistenceMode(handle), pynvml.nvmlDeviceGetPerformanceState(handle)) == (1, 0)


def test_a_healthy_gpu_shows_no_error_and_a_full_link(driver: Driver) -> None:
    driver()
    handle = gpu()
    for kind in (pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED):
        assert pynvml.nvmlDeviceGetTotalEccErrors(handle, kind, pynvml.NVML_VOLATILE_ECC) == 0
    assert pynvml.nvmlDeviceGetRemappedRows(handle) == (0, 0, 0, 0)
    assert pynvml.nvmlDeviceGetEccMode(handle) == [1, 1]
    assert pynvml.nvmlDeviceGetPcieReplayCounter(handle) == 0
    assert pynvml.nvmlDeviceGetCurrPcieLinkGeneration(handle) == pynvml.nvmlDeviceGetMaxPcieLinkGeneration(handle) == 5
    assert pynvml.nvmlDeviceGetCurrPcieLinkWidth(handle) == pynvml.nvmlDeviceGetMaxPcieLinkWidth(handle) == 16
    assert [pynvml.nvmlDeviceGetNvLinkState(handle, link) for link in range(18)] == [1] * 18
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        pynvml.nvmlDeviceGetNvLinkState(handle, 18)


def test_memory_use_and_processes_are_read_through_their_structures(driver: Driver) -> None:
    driver()
    handle = gpu()
    for memory in (
        pynvml.nvmlDeviceGetMemoryInfo(handle),
        pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2),
    ):
        assert memory.total == 85_520_809_984
        assert memory.used + memory.free == memory.total
    assert pynvml.nvmlDeviceGetUtilizationRates(handle).gpu == 100
    assert pynvml.nvmlDeviceGetEncoderUtilization(handle)[0] == pynvml.nvmlDeviceGetDecoderUtilization(handle)[0] == 0
    assert pynvml.nvmlDeviceGetComputeRunningProcesses(handle) == []
    assert pynvml.nvmlDeviceGetGraphicsRunningProcesses(handle) == []


def test_fields_come_with_their_type_and_signed_ones_are_negative(driver: Driver) -> None:
    driver()
    numbers = [82, 83, 94, *range(138, 146), 161, 162, 163, 185, 186, *range(193, 199), 230, 269, 270, 271, 9999]
    values = {v.fieldId: v for v in pynvml.nvmlDeviceGetFieldValues(gpu(), numbers)}
    assert [n for n in numbers if values[n].nvmlReturn != 0] == [9999]
    assert values[9999].nvmlReturn == pynvml.NVML_ERROR_NOT_SUPPORTED
    assert (values[193].valueType, values[193].value.siVal) == (pynvml.NVML_VALUE_TYPE_SIGNED_INT, -8)
    assert values[194].value.siVal == -2
    assert values[83].valueType == pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG
    assert values[83].value.ullVal >= 700 * 0.97 * 10_000
    assert values[82].valueType == pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
    assert 60 < values[82].value.uiVal < 90


def test_nvlink_errors_are_on_one_link_and_in_the_sum(driver: Driver) -> None:
    driver(fault("nvlink_errors", "count = 5"))
    everything = 0xFFFFFFFF
    fields = [(161, 0), (161, 1), (161, everything), (52, 0), (38, 0), (161, 18)]
    values = pynvml.nvmlDeviceGetFieldValues(gpu(), fields)
    assert [v.value.ullVal for v in values[:5]] == [5, 0, 5, 5, 0]
    assert values[5].nvmlReturn == pynvml.NVML_ERROR_NOT_SUPPORTED
    assert [pynvml.nvmlDeviceGetNvLinkErrorCounter(gpu(), link, 0) for link in (0, 1)] == [5, 0]


def test_throttling_sets_several_bits_and_lowers_the_clock(driver: Driver) -> None:
    driver(fault("throttle", "factor = 0.75") + fault("power_brake", "factor = 0.5", on="node001/gpu1"))
    assert pynvml.nvmlDeviceGetCurrentClocksEventReasons(gpu(0)) == 0x4 | 0x8 | 0x20 | 0x40
    assert pynvml.nvmlDeviceGetCurrentClocksEventReasons(gpu(1)) == 0x4 | 0x8 | 0x80
    hot, braked, healthy = (pynvml.nvmlDeviceGetClockInfo(gpu(i), pynvml.NVML_CLOCK_SM) for i in range(3))
    assert braked < hot < healthy
    assert pynvml.nvmlDeviceGetPowerUsage(gpu(1)) < 0.7 * pynvml.nvmlDeviceGetPowerUsage(gpu(2))
    thermal, brake = (v.value.ullVal / 1e9 for v in pynvml.nvmlDeviceGetFieldValues(gpu(0), [269, 271]))
    assert thermal >= 10
    assert brake == 0


def test_memory_faults_are_counted_and_rows_remapped(driver: Driver) -> None:
    driver(
        fault("ecc", "count = 3")
        + fault("ecc", "count = 40\ncorrected = true")
        + fault("row_remap", "failed = true\nrecovery_action = 1")
        + fault("pcie_narrow", "width = 8\ngeneration = 3")
    )
    handle = gpu()
    totals = [pynvml.nvmlDeviceGetTotalEccErrors(handle, kind, pynvml.NVML_VOLATILE_ECC) for kind in (0, 1)]
    assert totals == [40, 3]
    assert pynvml.nvmlDeviceGetRemappedRows(handle) == (0, 1, 1, 1)
    assert pynvml.nvmlDeviceGetFieldValues(handle, [230])[0].value.uiVal == 1
    assert pynvml.nvmlDeviceGetCurrPcieLinkWidth(handle) == 8
    assert pynvml.nvmlDeviceGetCurrPcieLinkGeneration(handle) == 3


def test_a_lost_gpu_answers_that_it_is_lost_and_the_others_answer(driver: Driver) -> None:
    driver(fault("lost", on="node001/gpu2", at="3600s"))
    before = gpu(2)
    assert pynvml.nvmlDeviceGetPowerUsage(before) > 0
    driver(fault("lost", on="node001/gpu2"))
    with pytest.raises(pynvml.NVMLError_GpuIsLost):
        pynvml.nvmlDeviceGetPowerUsage(before)
    with pytest.raises(pynvml.NVMLError_GpuIsLost):
        pynvml.nvmlDeviceGetFieldValues(before, [82])
    with pytest.raises(pynvml.NVMLError_GpuIsLost):
        gpu(2)
    assert pynvml.nvmlDeviceGetPowerUsage(gpu(1)) > 0


def test_a_hung_gpu_blocks_its_caller_and_nobody_else_until_the_fault_ends(driver: Driver) -> None:
    driver(fault("hang", 'for = "10.5s"', on="node001/gpu6"), at=10.0)
    asked, answered = Event(), Event()

    def ask() -> None:
        asked.set()
        pynvml.nvmlDeviceGetPowerUsage(gpu(6))
        answered.set()

    thread = Thread(target=ask)
    thread.start()
    assert asked.wait(10)
    assert pynvml.nvmlDeviceGetPowerUsage(gpu(5)) > 0
    assert pynvml.nvmlDeviceGetUUID(gpu(6)) == gpu_uuid(7, "node001", 6)
    assert not answered.is_set()
    thread.join(30)
    assert answered.is_set()


def listen(*indices: int) -> object:
    events = pynvml.nvmlEventSetCreate()
    for index in indices:
        assert pynvml.nvmlDeviceGetSupportedEventTypes(gpu(index)) == pynvml.nvmlEventTypeXidCriticalError
        pynvml.nvmlDeviceRegisterEvents(gpu(index), pynvml.nvmlEventTypeXidCriticalError, events)
    return events


def test_an_xid_is_delivered_once_at_its_time(driver: Driver) -> None:
    driver(fault("xid", "code = 48", on="node001/gpu2", at="10.2s"), at=10.0)
    events = listen(*range(8))
    data = pynvml.nvmlEventSetWait_v2(events, 30_000)
    assert (data.eventType, data.eventData) == (pynvml.nvmlEventTypeXidCriticalError, 48)
    assert pynvml.nvmlDeviceGetIndex(data.device) == 2
    with pytest.raises(pynvml.NVMLError_Timeout):
        pynvml.nvmlEventSetWait_v2(events, 0)


def test_nothing_from_before_the_registration_and_nothing_of_gpus_not_registered(driver: Driver) -> None:
    driver(fault("xid", "code = 48", at="5s") + fault("xid", "code = 79", on="node001/gpu1", at="10.1s"), at=10.0)
    events = listen(0)
    with pytest.raises(pynvml.NVMLError_Timeout):
        pynvml.nvmlEventSetWait_v2(events, 300)
    pynvml.nvmlEventSetFree(events)
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        pynvml.nvmlEventSetWait_v2(events, 0)


def test_what_the_library_lacks_is_a_missing_symbol(driver: Driver) -> None:
    driver()
    with pytest.raises(pynvml.NVMLError_FunctionNotFound):
        pynvml.nvmlDeviceGetBoardPartNumber(gpu())
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetFanSpeed(gpu())
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetTemperatureThreshold(gpu(), 0)


def test_wrong_handles_and_calls_before_init_are_refused(driver: Driver) -> None:
    driver()
    handle = gpu()
    with pytest.raises(pynvml.NVMLError_InvalidArgument):
        gpu(8)
    for wrong in (0, 7, 64 * 9):
        with pytest.raises(pynvml.NVMLError_InvalidArgument):
            pynvml.nvmlDeviceGetPowerUsage(wrong)
    pynvml.nvmlShutdown()
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        pynvml.nvmlDeviceGetPowerUsage(handle)
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        pynvml.nvmlShutdown()


def test_a_part_without_nvlink_or_margin_says_so(driver: Driver) -> None:
    driver(head='seed = 1\n[fleet]\nnodes = "node001"\npart = "H100-PCIe"\ngpus_per_node = 2\n')
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetNvLinkState(gpu(), 0)
    assert pynvml.nvmlDeviceGetFieldValues(gpu(), [161])[0].nvmlReturn == pynvml.NVML_ERROR_NOT_SUPPORTED
    driver(head='seed = 1\n[fleet]\nnodes = "node001"\npart = "A100-SXM4-80GB"\n')
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetMarginTemperature(gpu())
    assert pynvml.nvmlDeviceGetFieldValues(gpu(), [193])[0].nvmlReturn == pynvml.NVML_ERROR_NOT_SUPPORTED


def test_gpustat_shows_eight_gpus_and_names_the_lost_one(driver: Driver) -> None:
    gpustat = pytest.importorskip("gpustat", reason="gpustat is not installed (pip install -e .[dev])")
    driver()
    gpus = gpustat.new_query().gpus
    assert [gpu.index for gpu in gpus] == list(range(8))
    assert {gpu.name for gpu in gpus} == {"NVIDIA H100 80GB HBM3"}
    assert all(gpu.power_limit == 700 and gpu.utilization == 100 for gpu in gpus)
    driver(fault("lost", on="node001/gpu2"))
    out = StringIO()
    gpustat.new_query().print_formatted(out, no_color=True)
    assert [line.startswith("[2]") for line in out.getvalue().splitlines() if "lost" in line.lower()] == [True]
