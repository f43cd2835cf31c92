"""A GPU of a scenario: small real products with real digests, in the time that the simulated part would take.

The device has a timeline of its own: each piece of work takes the time that the part needs at that moment, and `wait`
sleeps until the run's clock gets there. A lane whose work is all done was idle, and goes on when the burn marks it, or
queues work without a mark; between a mark and the work behind it no time passes. So a rate taken between marks does not
depend on how busy the machine is that simulates.
"""

import math
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fryer.burns.operands import RESULT, operand, raw_bits
from fryer.devices import Mark, Shape, UnsupportedDtypeError
from fryer.devices.cpu import product
from fryer.devices.cuda import SHAPE
from fryer.devices.simulated_rates import DEFAULT_DTYPES, multiplies, typical_link_rate, typical_rate
from fryer.records import BYTES, FLOPS
from watchdog.clock import RunClock
from watchdog.simulator.fault import Fault
from watchdog.simulator.model import performance_factor
from watchdog.simulator.node import SimulatedNode
from watchdog.simulator.parts import PARTS

REAL_SHAPE = Shape(m=64, n=64, k=64)
SCALE = 1 << 14
CALL_REAL_SECONDS = 0.005
"""One call of `multiply` stands for as many products as take this long in real time, so that eight simulated GPUs
leave a laptop's processors idle enough to keep up."""
_DIGEST_BYTES = 8


class SimulatedDevice:
    """GPU `index` of a simulated node."""

    host_is_device = False
    scale = SCALE
    default_dtypes = DEFAULT_DTYPES

    def __init__(self, name: str, clock: RunClock, node: SimulatedNode, index: int) -> None:
        """Read the scenario; nothing is loaded yet."""
        self.name = name
        self.clock = clock
        self.torch_device = torch.device("cpu")
        self._scenario = node.scenario()
        self._node = node.node
        self._index = index
        self._simulated = PARTS[self._scenario.fleet.part]
        self._random = random.Random(f"{self._scenario.seed}/{node.node}/{index}")  # noqa: S311 - noise, no secret
        self._lanes: dict[int, float] = {}
        self._idle: set[int] = set()
        """Lanes whose work is all done and waited for, and that were not marked since."""
        self._fresh: set[int] = set()
        """Lanes that were idle, were marked, and got no work since."""
        self._current = threading.local()
        self._num_products = 0

    def open(self) -> None:
        """Begin the timeline now, with one thread: eight of these share the machine."""
        torch.set_num_threads(1)
        self._lanes = {0: self.clock.now()}
        self._idle = {0}

    def free_bytes(self) -> int:
        """1/scale of what the part has."""
        return int(self._simulated.memory_bytes // SCALE)

    def shape(self, dtype: str) -> Shape:
        """What a real GPU multiplies."""
        del dtype
        return SHAPE

    def real_shape(self, dtype: str) -> Shape:
        """Small, so that it costs next to nothing."""
        del dtype
        return REAL_SHAPE

    def products_per_call(self, dtype: str) -> int:
        """How many products of `shape` one call of `multiply` stands for."""
        return max(1, math.ceil(CALL_REAL_SECONDS * self.clock.speed * self._rate("gemm", dtype, FLOPS) / SHAPE.flops))

    def operand(self, dtype: str, rows: int, columns: int, seed: int) -> torch.Tensor:
        """See `fryer.burns.operands.operand`."""
        return operand(dtype, rows, columns, seed, self.torch_device)

    def product_buffer(self, dtype: str) -> torch.Tensor:
        """(m, n) of the real shape."""
        return torch.empty(REAL_SHAPE.m, REAL_SHAPE.n, dtype=RESULT[dtype])

    def multiply(self, dtype: str, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
        """A real small product, with the scenario's wrong bits in it, in the time of the simulated ones."""
        if not multiplies(self._simulated, dtype):
            raise UnsupportedDtypeError(f"{dtype} is no format of {self._simulated.product}")
        faults = self._check()
        product(dtype)(a, b, out)
        self._num_products += 1
        for fault in faults:
            if fault.kind == "wrong_bits" and self._num_products % (fault.every or 1) == 0:
                self._spoil(out, fault)
        self._take(SHAPE.flops * self.products_per_call(dtype), self._rate("gemm", dtype, FLOPS), "compute")

    def copy(self, source: torch.Tensor, destination: torch.Tensor, *, to_peer: bool = False) -> None:
        """A real small copy, at the rate of memory, of the host link or of NVLink. A digest takes no time."""
        self._check()
        destination.copy_(source)
        if to_peer:
            self._take(source.nbytes * SCALE, self._rate("p2p", "to", BYTES), "peer")
        elif getattr(source, "is_host", False) or getattr(destination, "is_host", False):
            self._take(source.nbytes * SCALE, typical_link_rate(self._simulated), "link")
        elif source.nbytes > _DIGEST_BYTES:
            self._take(2 * source.nbytes * SCALE, self._rate("hbm", "copy", BYTES), "memory")

    def triad(self, b: torch.Tensor, c: torch.Tensor, out: torch.Tensor) -> None:
        """Out = b + 3·c, at the memory's rate."""
        self._check()
        torch.add(b, c, alpha=3, out=out)
        self._take(3 * out.nbytes * SCALE, self._rate("hbm", "triad", BYTES), "memory")

    def host_buffer(self, num_bytes: int) -> torch.Tensor:
        """Host memory that `copy` knows as such."""
        buffer = torch.empty(num_bytes, dtype=torch.uint8)
        buffer.is_host = True  # type: ignore[attr-defined]
        return buffer

    @contextmanager
    def lane(self, index: int) -> Iterator[None]:
        """Queues with a timeline each; work in one does not slow the others."""
        before, self._current.lane = self._lane, index
        if index not in self._lanes:
            self._lanes[index] = self.clock.now()
            self._idle.add(index)
        try:
            yield
        finally:
            self._current.lane = before

    def mark(self) -> Mark:
        """Where the timeline has got to; a lane without work has been idle until now."""
        self._check()
        if self._lane in self._idle | self._fresh:
            self._wake()
            self._fresh.add(self._lane)
        return Mark((self._lane, self._lanes[self._lane]))

    def wait(self, mark: Mark) -> float:
        """Sleep until the run's clock is at the mark."""
        assert isinstance(mark.handle, tuple)
        lane, reached = mark.handle
        self.clock.sleep(reached - self.clock.now())
        if reached >= self._lanes[lane] and lane not in self._fresh:
            self._idle.add(lane)
        return float(reached)

    def between(self, first: Mark, second: Mark) -> float:
        """On the timeline."""
        assert isinstance(first.handle, tuple)
        assert isinstance(second.handle, tuple)
        return float(second.handle[1] - first.handle[1])

    def close(self) -> None:
        """Nothing to free."""

    @property
    def _lane(self) -> int:
        """Of this thread."""
        return int(getattr(self._current, "lane", 0))

    def _check(self) -> tuple[Fault, ...]:
        """Faults in force; a lost GPU raises as CUDA does, a hung one does not return."""
        faults = self._scenario.faults_on(self._node, f"gpu{self._index}", self._lanes[self._lane])
        for fault in faults:
            if fault.kind == "lost":
                raise RuntimeError("CUDA error: device is lost")
            while fault.kind == "hang" and fault.is_active(self.clock.now()):
                time.sleep(0.05)
        return faults

    def _wake(self) -> None:
        """An idle lane goes on now."""
        self._lanes[self._lane] = max(self._lanes[self._lane], self.clock.now())
        self._idle.discard(self._lane)

    def _take(self, work: float, rate: float, what: str) -> None:
        if self._lane in self._idle:
            self._wake()
        self._fresh.discard(self._lane)
        factor = performance_factor(self._scenario, self._node, self._index, self._lanes[self._lane], what)
        noise = self._random.gauss(1.0, self._scenario.fleet.noise)
        self._lanes[self._lane] += work / (rate * factor * max(noise, 0.5))

    def _rate(self, burn: str, case: str, metric: str) -> float:
        return typical_rate(self._simulated, burn, case, metric)

    def _spoil(self, out: torch.Tensor, fault: Fault) -> None:
        """Flip bits of one element, or make it a NaN."""
        index = self._random.randrange(out.numel())
        if fault.nan:
            out.view(-1)[index] = float("nan")
            return
        bits = raw_bits(out)
        width = 8 * out.element_size()
        for bit in self._random.sample(range(width), min(fault.bits or 1, width)):
            bits[index] ^= torch.tensor(1, dtype=bits.dtype) << bit
