"""How a GPU's state is written into the structures of NVML: each function fills what a pointer points to."""

from ctypes import c_uint
from typing import Any

import pynvml

from watchdog.simulator.model import GpuState

_OK, _VERSION_MISMATCH = 0, 25
_BANKS, _SPARE_ROWS = 640, 8
"""Memory banks of an H100, and spare rows of each; `nvidia-smi -q` shows all 640 with the most spares when new."""


def number(kind: Any, at: int, value: float) -> int:
    """Write one number of a C type."""
    kind.from_address(at).value = value
    return _OK


def remapped_rows(state: GpuState, corrected: int, uncorrected: int, pending: int, failed: int) -> int:
    """`nvmlDeviceGetRemappedRows`."""
    for at, value in (
        (corrected, state.remapped_corrected),
        (uncorrected, state.remapped_uncorrected),
        (pending, state.remap_pending),
        (failed, state.remap_failed),
    ):
        number(c_uint, at, int(value))
    return _OK


def row_histogram(state: GpuState, at: int) -> int:
    """`nvmlDeviceGetRowRemapperHistogram`: all of a scenario's rows are in one bank."""
    left = _SPARE_ROWS - min(_SPARE_ROWS, state.remapped_corrected + state.remapped_uncorrected)
    left = 0 if state.remap_failed else left
    banks = pynvml.c_nvmlRowRemapperHistogramValues.from_address(at)
    banks.max = _BANKS - (left < _SPARE_ROWS)
    banks.high, banks.partial = int(5 <= left < _SPARE_ROWS), int(3 <= left < 5)
    banks.low, banks.none = int(0 < left < 3), int(left == 0)
    return _OK


def sram_errors(_state: GpuState, at: int) -> int:
    """`nvmlDeviceGetSramEccErrorStatus`: none, and the limit is not passed."""
    status = pynvml.c_nvmlEccSramErrorStatus_v1_t.from_address(at)
    if status.version != pynvml.nvmlEccSramErrorStatus_v1:
        return _VERSION_MISMATCH
    status.bThresholdExceeded = 0
    return _OK


def fabric(_state: GpuState, at: int) -> int:
    """`nvmlDeviceGetGpuFabricInfoV`, both versions: registered and healthy."""
    info = pynvml.c_nvmlGpuFabricInfo_v3_t.from_address(at)  # the second version is a head of the third
    if info.version not in (pynvml.nvmlGpuFabricInfo_v2, pynvml.nvmlGpuFabricInfo_v3):
        return _VERSION_MISMATCH
    info.state, info.status, info.healthMask = pynvml.NVML_GPU_FABRIC_STATE_COMPLETED, pynvml.NVML_SUCCESS, 0
    if info.version == pynvml.nvmlGpuFabricInfo_v3:
        info.healthSummary = pynvml.NVML_GPU_FABRIC_HEALTH_SUMMARY_HEALTHY
    return _OK


def utilization(_state: GpuState, at: int) -> int:
    """`nvmlDeviceGetUtilizationRates`: a full load."""
    rates = pynvml.c_nvmlUtilization_t.from_address(at)
    rates.gpu, rates.memory = 100, 60
    return _OK


def temperature(state: GpuState, at: int) -> int:
    """`nvmlDeviceGetTemperatureV`."""
    pynvml.c_nvmlTemperature_v1_t.from_address(at).temperature = round(state.temperature_celsius)
    return _OK


def margin(state: GpuState, at: int) -> int:
    """`nvmlDeviceGetMarginTemperature`."""
    pynvml.c_nvmlMarginTemperature_v1_t.from_address(at).marginTemperature = round(state.margin_celsius)
    return _OK
