"""Which formats a processor is burned in."""

import time
from collections.abc import Callable

import pytest
import torch

from fryer.devices import UnsupportedDtypeError, cpu
from fryer.devices.cpu import CpuDevice, native_formats
from watchdog.clock import RunClock

Multiply = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], object]


def multiply(device: CpuDevice, dtype: str) -> None:
    a, b = (device.operand(dtype, 64, 64, seed) for seed in (1, 2))
    device.multiply(dtype, a, b, torch.empty(64, 64, dtype=cpu.RESULT[dtype]))


@pytest.mark.parametrize(
    ("isa", "formats"),
    [
        ("amx_fp16", {"bf16", "fp16", "int8"}),
        ("amx_int8", {"bf16", "int8"}),
        ("avx512_fp16", {"bf16", "fp16", "int8"}),
        ("avx512_bf16", {"bf16", "int8"}),
        ("avx512f", {"int8"}),
        ("avx2", {"int8"}),
        (None, set()),
    ],
)
def test_flags_of_the_processor_tell_which_formats_are_native(isa: str | None, formats: set[str]) -> None:
    assert native_formats(isa) == formats | {"fp32", "fp64"}


def test_a_format_that_the_flags_name_is_never_called_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow a try would be, on a machine under load."""
    monkeypatch.setattr(cpu, "read_isa", lambda: "avx512_bf16")
    monkeypatch.setattr(CpuDevice, "_best_rate", lambda self, dtype, enough: 1e15 if dtype == "fp32" else 1.0)
    device = CpuDevice("cpu0", RunClock.start())
    device.open()
    multiply(device, "bf16")
    multiply(device, "int8")
    with pytest.raises(UnsupportedDtypeError, match="fp16 products are emulated"):
        multiply(device, "fp16")


def test_a_try_counts_the_time_of_the_processor_and_not_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    real = cpu.product

    def late(dtype: str) -> Multiply:
        """fp16 multiplies as fast as fp32, on a thread that gets no processor for a while each time."""
        if dtype != "fp16":
            return real(dtype)

        def multiply_late(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
            time.sleep(0.02)
            real("fp32")(a.float(), b.float(), out.float())

        return multiply_late

    monkeypatch.setattr(cpu, "product", late)
    multiply(CpuDevice("cpu0", RunClock.start()), "fp16")


def test_the_scale_of_an_fp8_product_is_made_once() -> None:
    assert cpu._one(torch.device("cpu")) is cpu._one(torch.device("cpu"))
