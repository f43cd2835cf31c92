"""An NVIDIA GPU. Work is queued on a stream; a mark is an event, timed by the device itself."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from fryer.burns.operands import RESULT, operand
from fryer.devices import Mark, Shape, UnsupportedDtypeError
from fryer.devices.cpu import product
from watchdog.clock import Clock

SHAPE = Shape(m=8192, n=8192, k=8192)
"""The shape that published figures are for (see `fryer.parts`): 1.5 ms in bf16 on an H100."""

_NEEDS = {"bf16": (8, 0), "tf32": (8, 0), "fp8": (8, 9), "fp16": (7, 0), "fp32": (5, 0), "fp64": (6, 0), "int8": (7, 5)}
"""Lowest compute capability (CUDA Programming Guide, "Compute Capabilities", arithmetic throughput table)."""


_REANCHOR_SECONDS = 600.0
"""CUDA gives the time between events as a 32-bit float of milliseconds: past ten minutes its step exceeds 0.06 ms."""


class CudaDevice:
    """One GPU, by its CUDA ordinal (which may differ from the NVML index: `fryer.platform` maps by UUID)."""

    host_is_device = False
    scale = 1

    def __init__(self, name: str, clock: Clock, ordinal: int, processors: Sequence[int] = ()) -> None:
        """Touches no GPU: `open` does, in the worker. `processors`: those nearest to the GPU; empty: any."""
        self.name = name
        self.clock = clock
        self.torch_device = torch.device("cuda", ordinal)
        self._origin_seconds = 0.0
        self._processors = tuple(processors)
        self._streams: dict[int, torch.cuda.Stream] = {}

    def open(self) -> None:
        """Make the context, and tie the device's event clock to the run's clock.

        The process moves to the processors nearest to the GPU, so that what a copy from pinned memory measures is the
        host link and not the link between the sockets.
        """
        if self._processors:
            os.sched_setaffinity(0, self._processors)
        torch.cuda.set_device(self.torch_device)
        self._origin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        self._origin.record()
        self._origin.synchronize()
        self._origin_seconds = self.clock.now()

    @property
    def default_dtypes(self) -> tuple[str, ...]:
        """The formats that LLMs are trained in, as far as this GPU has them."""
        return tuple(dtype for dtype in ("bf16", "fp8") if self._capability() >= _NEEDS[dtype])

    def free_bytes(self) -> int:
        """Free device memory, with what torch's allocator keeps of freed tensors given back first."""
        torch.cuda.empty_cache()
        return int(torch.cuda.mem_get_info(self.torch_device)[0])

    def shape(self, dtype: str) -> Shape:
        """The same for every format, so that figures compare with published ones."""
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
        return torch.empty(shape.m, shape.n, dtype=RESULT[dtype], device=self.torch_device)

    def multiply(self, dtype: str, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
        """Queue C = A·B; raises `UnsupportedDtypeError` where the GPU lacks the format."""
        if self._capability() < _NEEDS[dtype]:
            raise UnsupportedDtypeError(
                f"{dtype} needs compute capability {'.'.join(map(str, _NEEDS[dtype]))}, "
                f"this GPU has {'.'.join(map(str, self._capability()))}"
            )
        torch.backends.cuda.matmul.allow_tf32 = dtype == "tf32"
        product(dtype)(a, b, out)

    def copy(self, source: torch.Tensor, destination: torch.Tensor, *, to_peer: bool = False) -> None:
        """Queue a copy; to and from pinned host memory it does not block."""
        del to_peer  # the tensors tell
        destination.copy_(source, non_blocking=True)

    def triad(self, b: torch.Tensor, c: torch.Tensor, out: torch.Tensor) -> None:
        """Queue out = b + 3·c."""
        torch.add(b, c, alpha=3, out=out)

    def host_buffer(self, num_bytes: int) -> torch.Tensor:
        """Pinned host memory."""
        return torch.empty(num_bytes, dtype=torch.uint8, pin_memory=True)

    @contextmanager
    def lane(self, index: int) -> Iterator[None]:
        """Each index is a stream; 0 is the default one. A thread also gets this GPU as its current device."""
        if index and index not in self._streams:
            self._streams[index] = torch.cuda.Stream(self.torch_device)  # type: ignore[no-untyped-call]
        stream = self._streams[index] if index else torch.cuda.default_stream(self.torch_device)
        with torch.cuda.stream(stream):
            yield

    def mark(self) -> Mark:
        """Record an event behind the work queued so far."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.torch_device))  # whichever device is current in a process of many
        return Mark(event)

    def wait(self, mark: Mark) -> float:
        """Block until the event is done; its time is the device's own, so the host's delays do not count."""
        event = mark.handle
        assert isinstance(event, torch.cuda.Event)
        event.synchronize()
        since_origin = float(self._origin.elapsed_time(event)) / 1000
        reached = self._origin_seconds + since_origin
        if since_origin > _REANCHOR_SECONDS:
            self._origin, self._origin_seconds = event, reached
        return reached

    def between(self, first: Mark, second: Mark) -> float:
        """Taken from the two events themselves: their times since the origin are rounded to 0.06 ms in the end."""
        begin, end = first.handle, second.handle
        assert isinstance(begin, torch.cuda.Event)
        assert isinstance(end, torch.cuda.Event)
        return float(begin.elapsed_time(end)) / 1000

    def close(self) -> None:
        """Give the memory back to the driver; the context ends with the process."""
        torch.cuda.empty_cache()

    def _capability(self) -> tuple[int, int]:
        return torch.cuda.get_device_capability(self.torch_device)
