"""What a burn runs on: one contract, three devices (CUDA, CPU, simulated). Burns do not ask which one they got."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

    from watchdog.clock import Clock

DTYPES = ("bf16", "fp16", "fp32", "tf32", "fp8", "fp64", "int8")
"""Names of number formats, as users write them in `--dtypes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A product: A is (m, k), B is (k, n), C is (m, n)."""

    m: int
    n: int
    k: int

    @property
    def flops(self) -> int:
        """Multiplications and additions: 2·m·n·k."""
        return 2 * self.m * self.n * self.k

    def __str__(self) -> str:
        return f"{self.m}x{self.n}x{self.k}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A point in a device's queue; `handle` belongs to the device."""

    handle: object


class UnsupportedDtypeError(Exception):
    """This device does not multiply in this number format; the message says why."""


class Device(Protocol):
    """A device that multiplies and copies. Work may be queued: a `Mark` orders it, `wait` says when it was done."""

    name: str
    """``gpu0``, ``cpu0``."""
    torch_device: torch.device
    """Where operands live."""
    scale: int
    """A simulated device holds 1/scale of the bytes that it reports; 1 on real ones."""
    host_is_device: bool
    """The device's memory is the host's memory (CPU): there is no link to copy over."""

    @property
    def clock(self) -> Clock:
        """The run's clock."""

    @property
    def default_dtypes(self) -> tuple[str, ...]:
        """What is burned when the user names no format; read after `open`."""

    def open(self) -> None:
        """Make the device current in this process: context, processor affinity, threads. Call once, first."""

    def free_bytes(self) -> int:
        """Bytes that can really be allocated on the device now, dropped tensors' bytes among them."""

    def shape(self, dtype: str) -> Shape:
        """Shape of the product that this device reports for `dtype`."""

    def real_shape(self, dtype: str) -> Shape:
        """Shape of the product that is really computed; differs from `shape` on a simulated device only."""

    def products_per_call(self, dtype: str) -> int:
        """How many products of `shape` one call of `multiply` stands for; other than 1 on a simulated device only."""

    def operand(self, dtype: str, rows: int, columns: int, seed: int) -> torch.Tensor:
        """Random operand with wide exponents; equal for equal arguments on all devices of a part."""

    def product_buffer(self, dtype: str) -> torch.Tensor:
        """An empty C for `real_shape(dtype)`."""

    def multiply(self, dtype: str, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
        """Queue C = A·B into `out`; raises `UnsupportedDtypeError`."""

    def copy(self, source: torch.Tensor, destination: torch.Tensor, *, to_peer: bool = False) -> None:
        """Queue a copy, within the device, to or from pinned host memory, or (`to_peer`) to another device."""

    def triad(self, b: torch.Tensor, c: torch.Tensor, out: torch.Tensor) -> None:
        """Queue out = b + 3·c (STREAM triad) in the device's memory."""

    def host_buffer(self, num_bytes: int) -> torch.Tensor:
        """uint8 host memory, pinned where the device has a link."""

    def lane(self, index: int) -> AbstractContextManager[None]:
        """Inside it, work, marks and collectives of this thread go to queue `index`; outside it, to queue 0.

        Queues run at the same time and are not ordered between each other: `wait` for a mark of one before another
        uses what it wrote. A device without queues (CPU) runs all at once, in the order of the calls.
        """

    def mark(self) -> Mark:
        """Queue a mark behind the work queued so far."""

    def wait(self, mark: Mark) -> float:
        """Block until the mark is reached; returns when it was reached, in seconds on the run's clock."""

    def between(self, first: Mark, second: Mark) -> float:
        """Seconds from one mark to a later one of the same queue; both have been waited for."""

    def close(self) -> None:
        """Free the device."""
