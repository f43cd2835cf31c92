"""A socket's processors as a device: the same burns, products and copies in host memory. Nothing is queued."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from types import MappingProxyType

import psutil
import torch

from fryer.burns.operands import RESULT, operand
from fryer.devices import Mark, Shape, UnsupportedDtypeError
from fryer.sockets import read_isa
from watchdog.clock import Clock

SHAPE = Shape(m=2048, n=2048, k=2048)
"""About 0.1 s a product on two cores: long enough to run at full speed, short enough to stop at once."""

_ALWAYS = frozenset({"fp32", "fp64"})
_NATIVE = MappingProxyType(
    {
        "amx_fp16": frozenset({"bf16", "fp16", "int8"}),
        "amx_bf16": frozenset({"bf16", "int8"}),
        "amx_int8": frozenset({"bf16", "int8"}),
        "avx512_fp16": frozenset({"bf16", "fp16", "int8"}),
        "avx512_bf16": frozenset({"bf16", "int8"}),
        "avx512f": frozenset({"int8"}),
        "avx2": frozenset({"int8"}),
    }
)
"""Formats that a processor multiplies in hardware, by the widest instructions that it has (`fryer.sockets.read_isa`).
int8 has had multiply-adds since AVX2 (VPMADDUBSW), and VNNI made one of two. The first processors with AMX or
AVX512-FP16 (Sapphire Rapids) had AVX512-BF16 already. What is not listed is tried out."""
_PROBE = 256
_PROBE_TRIES = 12
_NATIVE_RATIO = 1 / 8
"""A format of no flag that is slower than this against fp32 is emulated: native ones are within a factor 4 of it."""


class CpuDevice:
    """One socket. Work is done when the call returns, so a mark is the time at which it was set."""

    host_is_device = True
    scale = 1
    default_dtypes = ("bf16", "fp32", "int8")

    def __init__(self, name: str, clock: Clock, processors: Sequence[int] = ()) -> None:
        """`processors`: the ones to run on; empty: as the process was started."""
        self.name = name
        self.clock = clock
        self.torch_device = torch.device("cpu")
        self._processors = tuple(processors)
        self._native = _ALWAYS
        self._emulated: dict[str, str] = {}

    def open(self) -> None:
        """Pin the process to the socket, with one thread a processor, and read which formats it has."""
        if self._processors:
            os.sched_setaffinity(0, self._processors)
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self._native = native_formats(read_isa())

    def free_bytes(self) -> int:
        """Memory that the kernel would give without swapping, this socket's share of it."""
        return int(psutil.virtual_memory().available)

    def shape(self, dtype: str) -> Shape:
        """The same for every format."""
        del dtype
        return SHAPE

    def real_shape(self, dtype: str) -> Shape:
        """What is reported is what is computed."""
        return self.shape(dtype)

    def products_per_call(self, dtype: str) -> int:
        """One."""
        del dtype
        return 1

    def operand(self, dtype: str, rows: int, columns: int, seed: int) -> torch.Tensor:
        """See `fryer.burns.operands.operand`."""
        return operand(dtype, rows, columns, seed, self.torch_device)

    def product_buffer(self, dtype: str) -> torch.Tensor:
        """(m, n) in the format of the result."""
        shape = self.real_shape(dtype)
        return torch.empty(shape.m, shape.n, dtype=RESULT[dtype])

    def multiply(self, dtype: str, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
        """C = A·B; raises `UnsupportedDtypeError` for a format that this processor only emulates."""
        if dtype not in self._emulated:
            self._emulated[dtype] = self._why_not(dtype)
        if self._emulated[dtype]:
            raise UnsupportedDtypeError(self._emulated[dtype])
        product(dtype)(a, b, out)

    def copy(self, source: torch.Tensor, destination: torch.Tensor, *, to_peer: bool = False) -> None:
        """A copy within host memory."""
        del to_peer
        destination.copy_(source)

    def triad(self, b: torch.Tensor, c: torch.Tensor, out: torch.Tensor) -> None:
        """Out = b + 3·c."""
        torch.add(b, c, alpha=3, out=out)

    def host_buffer(self, num_bytes: int) -> torch.Tensor:
        """Plain host memory."""
        return torch.empty(num_bytes, dtype=torch.uint8)

    def lane(self, index: int) -> AbstractContextManager[None]:
        """Nothing is queued, so there is nothing to choose."""
        del index
        return nullcontext()

    def mark(self) -> Mark:
        """Now: nothing is queued."""
        return Mark(self.clock.now())

    def wait(self, mark: Mark) -> float:
        """When the mark was set."""
        assert isinstance(mark.handle, float)
        return mark.handle

    def between(self, first: Mark, second: Mark) -> float:
        """Between the times at which they were set."""
        assert isinstance(first.handle, float)
        assert isinstance(second.handle, float)
        return second.handle - first.handle

    def close(self) -> None:
        """Nothing to free."""

    def _why_not(self, dtype: str) -> str:
        """Why this format is not burned here, or nothing."""
        if dtype == "tf32":
            return "tf32 is a format of NVIDIA tensor cores; a processor multiplies fp32"
        if dtype in self._native:
            return ""
        reference = self._best_rate("fp32", enough=float("inf"))
        rate = self._best_rate(dtype, enough=_NATIVE_RATIO * reference)
        if rate < _NATIVE_RATIO * reference:
            return (
                f"{dtype} products are emulated on this processor: {rate / 1e9:.1f} GFLOP/s "
                f"against {reference / 1e9:.0f} in fp32, a second of one processor"
            )
        return ""

    def _best_rate(self, dtype: str, enough: float) -> float:
        """Best FLOP a second of processor time of small products, tried until it is `enough`.

        One thread, and its own time: what else the machine does would otherwise pass for a slow format.
        """
        num_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return self._best_of(dtype, enough)
        finally:
            torch.set_num_threads(num_threads)

    def _best_of(self, dtype: str, enough: float) -> float:
        a = operand(dtype, _PROBE, _PROBE, 1, self.torch_device)
        out = torch.empty(_PROBE, _PROBE, dtype=RESULT[dtype])
        multiply = product(dtype)
        best = 0.0
        for _ in range(_PROBE_TRIES):
            start = time.thread_time()
            try:
                multiply(a, a, out)
            except RuntimeError:  # torch names no finer error for a format that the processor lacks
                return 0.0
            best = max(best, 2 * _PROBE**3 / max(time.thread_time() - start, 1e-9))
            if best >= enough:
                break
        return best


def native_formats(isa: str | None) -> frozenset[str]:
    """Formats that need no trying out on a processor whose widest instructions are `isa`; None where nobody knows."""
    return _ALWAYS | _NATIVE.get(isa or "", frozenset())


def product(dtype: str) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], object]:
    """The torch call that multiplies `dtype` operands: (a, b, out)."""
    if dtype == "int8":
        return lambda a, b, out: torch._int_mm(a, b, out=out)
    if dtype == "fp8":
        return _multiply_fp8
    return lambda a, b, out: torch.matmul(a, b, out=out)


def _multiply_fp8(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """fp8 e4m3 -> bf16 with unit scales. cuBLASLt takes B column-major, so the operand's memory is read as B^T.

    `use_fast_accum` stays at its default, off: what `torch._scaled_mm`, which the floors of `fryer.parts` were measured
    with, does unless told otherwise.
    """
    one = _one(a.device)
    return torch._scaled_mm(a, b.t(), scale_a=one, scale_b=one, out_dtype=out.dtype, out=out)


@cache
def _one(device: torch.device) -> torch.Tensor:
    """The scale, made once: a kernel that fills it before each product would be timed with the product."""
    return torch.ones((), device=device)
