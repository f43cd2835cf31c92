"""Matrix products in each number format, as many as the device can do, every one verified.

Per format: a pool of random operands (`fryer.burns.pool`) whose pairs are multiplied over and over into a ring of
results (`fryer.burns.ring`). A pair that is new in the round is multiplied twice in a row, so that every product has a
twin to be compared with. What a device gets wrong every time shows against the other devices (`ProductDigest`, judged
by `fryer.vote`) and against float64 at sampled elements (`fryer.burns.spot`).

A `Point` is the rate of the products alone, which is what published figures are of; its `busy_ratio` is the share of
the time that they took, the rest having gone into digests, spot checks and new operands.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import cycle

from fryer.burns import Task
from fryer.burns.meter import Meter
from fryer.burns.operands import show_digest
from fryer.burns.pool import Pool, pair_id
from fryer.burns.ring import DEPTH, Ring, Settled
from fryer.burns.spot import spot_check
from fryer.devices import Device, UnsupportedDtypeError
from fryer.records import FLOPS, Counted, Mismatch, Problem, ProductDigest, Record
from watchdog.vocabulary.verdicts import Verdict

ROUND_SECONDS = 10.0
GENERATION_SHARE = 0.005
"""A round lasts so long that making its operands took at most this share of it, and at least `ROUND_SECONDS`."""


def run(devices: Sequence[Device], task: Task) -> Iterator[Record]:
    """Burn each format for its share of the time."""
    (device,) = devices
    dtypes = task.dtypes or device.default_dtypes
    for dtype in dtypes:
        if not task.stop():
            yield from _burn_or_say_why(device, dtype, task, task.seconds / len(dtypes))


def _burn_or_say_why(device: Device, dtype: str, task: Task, seconds: float) -> Iterator[Record]:
    """Burn one format; what torch throws at it is its own error, and the next one has its turn.

    Raises what was thrown when the device does not even answer to a mark any more: after most errors of its own CUDA
    refuses all further work in the process ("sticky" errors, CUDA Runtime API, "Error Handling").
    """
    try:
        yield from _burn(device, dtype, task, seconds)
        return
    except RuntimeError as error:  # torch's only class for what cuBLAS, its allocators and its kernels say
        message = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        try:
            device.wait(device.mark())
        except RuntimeError:
            raise error from None
    yield Problem(
        device=device.name,
        burn="gemm",
        case=f"{dtype} {device.shape(dtype)}",
        verdict=Verdict.ERROR,
        code="crashed",
        message=f"gemm {dtype} on {device.name} broke off and the device still answers: {message}",
    )


def _burn(device: Device, dtype: str, task: Task, seconds: float) -> Iterator[Record]:
    case = f"{dtype} {device.shape(dtype)}"
    end = device.clock.now() + seconds
    try:
        _try_once(device, dtype)
    except UnsupportedDtypeError as why:
        yield Problem(
            device=device.name, burn="gemm", case=case, verdict=Verdict.SKIPPED, code="unsupported", message=str(why)
        )
        return
    result_bytes = device.product_buffer(dtype).nbytes
    num_bytes = int(device.free_bytes() * task.memory_ratio) - (DEPTH + 1) * result_bytes
    pool = Pool(device, dtype, task.seed, seconds, num_bytes)
    yield from _Rounds(device, pool, case, end, task).run()


def _try_once(device: Device, dtype: str) -> None:
    """One small look at whether the format works, before memory is filled; raises `UnsupportedDtypeError`."""
    shape = device.real_shape(dtype)
    a = device.operand(dtype, shape.m, shape.k, 1)
    b = device.operand(dtype, shape.k, shape.n, 2)
    device.multiply(dtype, a, b, device.product_buffer(dtype))
    device.wait(device.mark())


class _Rounds:
    """Rounds of one format, until the time is over or the run is to end."""

    def __init__(self, device: Device, pool: Pool, case: str, end_seconds: float, task: Task) -> None:
        self._device = device
        self._pool = pool
        self._case = case
        self._end = end_seconds
        self._task = task
        self._ring = Ring(device, pool, case)
        self._per_call = device.products_per_call(pool.dtype)
        self._flops = device.shape(pool.dtype).flops * self._per_call
        self._num_products = 0
        start_seconds = device.wait(device.mark())
        self._meter = Meter(
            device=device.name,
            burn="gemm",
            case=case,
            metric=FLOPS,
            start_seconds=start_seconds,
            lasts_seconds=end_seconds - start_seconds,
        )

    def run(self) -> Iterator[Record]:
        while True:
            yield from self._round()
            if self._over():
                break
            self._pool.renew()
            self._ring.new_round()
        last = self._meter.finish()
        if last:
            yield last
        yield Counted(device=self._device.name, burn="gemm", case=self._case, what="products", count=self._num_products)

    def _over(self) -> bool:
        return self._task.stop() or self._device.clock.now() >= self._end

    def _round(self) -> Iterator[Record]:
        """All pairs at least once, then again until the round is long enough."""
        order = self._pool.order()
        length = max(ROUND_SECONDS, self._pool.generation_seconds / GENERATION_SHARE)
        round_end = self._device.clock.now() + length
        for number, pair in enumerate(cycle(order)):
            for _ in range(2 if self._ring.is_new(pair) else 1):
                if self._ring.full:
                    yield from self._settle()
                self._ring.issue(pair)
            if self._over() or (number >= len(order) and self._device.clock.now() >= round_end):
                break
        while not self._ring.empty:
            yield from self._settle()
        yield from self._spot()

    def _settle(self) -> Iterator[Record]:
        settled = self._ring.settle()
        self._num_products += self._per_call
        point = self._meter.add(self._flops, settled.product_seconds, settled.at_seconds)
        if settled.explained:
            self._meter.exclude(*settled.explained)
        if point:
            yield point
        if settled.mismatch:
            yield settled.mismatch
        if settled.confirmed or self._num_products == self._per_call:
            yield self._digest(settled)

    def _digest(self, settled: Settled) -> ProductDigest:
        """The first product of all has its digest told at once: a device that is never right twice has one too."""
        row, column = settled.pair
        return ProductDigest(
            device=self._device.name,
            case=self._case,
            round=self._pool.round,
            pair=pair_id(row, column),
            seed=self._pool.seed_of("a", row),
            digest=show_digest(settled.digest),
            is_verified=settled.confirmed,
        )

    def _spot(self) -> Iterator[Record]:
        """Sampled elements of the round's last product against float64."""
        last = self._ring.last()
        if last is None:
            return
        (row, column), result = last
        check = partial(
            spot_check, self._pool.dtype, self._pool.a[row], self._pool.b[column], seed=self._pool.seed_of("a", row)
        )
        spot = check(result)
        if spot:
            again = check(self._ring.repeat((row, column)))
            yield Mismatch(
                device=self._device.name,
                burn="gemm",
                case=self._case,
                seed=self._pool.seed_of("a", row),
                round=self._pool.round,
                pair=pair_id(row, column),
                at_seconds=self._device.clock.now(),
                index=spot.index,
                num_wrong=spot.num_wrong,
                expected=f"{spot.expected:.9g} +- {spot.bound:.2g}",
                read=f"{spot.read:.9g}",
                is_nan=spot.read != spot.read,
                reproduced=again is not None,
                how="fp64",
            )
