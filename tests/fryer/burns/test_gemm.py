"""Every product is verified: what is wrong is found and named, what is right raises no alarm."""

import random
from collections.abc import Callable, Iterator

import pytest
import torch

from fryer.burns import BURNS, Task
from fryer.burns.gemm import _Rounds
from fryer.burns.operands import RESULT, digest_into, operand, raw_bits
from fryer.burns.pool import Pool
from fryer.burns.ring import Ring
from fryer.burns.spot import BANDS, spot_check
from fryer.devices import Mark, Shape
from fryer.devices.cpu import CpuDevice
from fryer.records import Counted, Mismatch, Point, Problem, ProductDigest, Record
from fryer.vote import vote
from watchdog.clock import RunClock
from watchdog.vocabulary.verdicts import Verdict

torch.set_num_threads(1)  # products this small gain nothing from threads, and lose much on a busy machine

SMALL = Shape(m=32, n=32, k=32)
Spoil = Callable[[torch.Tensor], None]


class SpoiledDevice(CpuDevice):
    """A processor that multiplies small matrices, and spoils the results whose numbers are in `wrong`."""

    def __init__(self, name: str = "cpu0", wrong: frozenset[int] = frozenset(), spoil: Spoil | None = None) -> None:
        super().__init__(name, RunClock.start())
        self._wrong = wrong
        self._spoil = spoil
        self.num_calls = 0

    def shape(self, dtype: str) -> Shape:
        return SMALL

    def multiply(self, dtype: str, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
        super().multiply(dtype, a, b, out)
        if self._spoil and (self.num_calls in self._wrong or -1 in self._wrong):
            self._spoil(out)
        self.num_calls += 1


def flip(bit: int, index: int) -> Spoil:
    def spoil(out: torch.Tensor) -> None:
        bits = raw_bits(out)
        bits[index] ^= torch.tensor(1, dtype=bits.dtype) << bit

    return spoil


def products(device: SpoiledDevice, num_products: int, dtype: str = "bf16", seed: int = 1) -> Iterator[Record]:
    """The records of so many products of twins over a pool of four operands."""
    pool = Pool(device, dtype, seed, seconds=1e9, num_bytes=4 * 2 * SMALL.m * SMALL.k * 2)
    ring = Ring(device, pool, f"{dtype} {SMALL}")
    order = [pair for pair in pool.order() for _ in range(2)]
    for number in range(num_products):
        if ring.full:
            mismatch = ring.settle().mismatch
            if mismatch:
                yield mismatch
        ring.issue(order[number % len(order)])
    while not ring.empty:
        mismatch = ring.settle().mismatch
        if mismatch:
            yield mismatch


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_one_flipped_bit_of_one_product_is_found_and_named_in_each_of_100_tries(dtype: str) -> None:
    chance = random.Random(7)
    found = 0
    for attempt in range(100):
        number, index = chance.randrange(24), chance.randrange(SMALL.m * SMALL.n)
        bit = chance.randrange(16 if dtype == "bf16" else 32)
        device = SpoiledDevice(wrong=frozenset({number}), spoil=flip(bit, index))
        wrong = list(products(device, 24, dtype, seed=attempt))
        found += (
            len(wrong) == 1
            and isinstance(wrong[0], Mismatch)
            and wrong[0].index == index
            and wrong[0].num_wrong == 1
            and int(wrong[0].expected, 16) ^ int(wrong[0].read, 16) == 1 << bit
        )
    assert found == 100


def test_one_nan_in_one_product_is_found_and_named_in_each_of_100_tries() -> None:
    chance = random.Random(8)
    found = 0
    for attempt in range(100):
        index = chance.randrange(SMALL.m * SMALL.n)

        def spoil(out: torch.Tensor, index: int = index) -> None:
            out.view(-1)[index] = float("nan")

        device = SpoiledDevice(wrong=frozenset({chance.randrange(24)}), spoil=spoil)
        wrong = list(products(device, 24, seed=attempt))
        found += len(wrong) == 1 and isinstance(wrong[0], Mismatch) and wrong[0].is_nan and wrong[0].index == index
    assert found == 100


def test_a_thousand_clean_rounds_raise_no_alarm() -> None:
    """A round: new operands, each pair twice, and float64 at sampled elements, in each format that is native here."""
    alarms = 0
    device = SpoiledDevice()
    for round_ in range(1000):
        dtype = ("bf16", "fp32", "int8", "fp64")[round_ % 4]
        alarms += len(list(products(device, 8, dtype, seed=round_)))
        a, b = operand(dtype, 32, 32, round_, torch.device("cpu")), operand(dtype, 32, 32, -round_, torch.device("cpu"))
        out = device.product_buffer(dtype)
        device.multiply(dtype, a, b, out)
        alarms += spot_check(dtype, a, b, out, round_) is not None
    assert alarms == 0


def test_a_device_that_is_always_wrong_in_the_same_way_is_outvoted_by_the_others() -> None:
    """Its twins agree with each other, so only the other devices show it."""
    digests: list[ProductDigest] = []
    for name in ("gpu0", "gpu1", "gpu2"):
        device = SpoiledDevice(name, frozenset({-1}) if name == "gpu1" else frozenset(), flip(3, 17))
        task = Task(seconds=0.05, seed=5, dtypes=("fp32",), memory_ratio=1e-6, stop=lambda: False)
        records = list(BURNS["gemm"].run([device], task))
        assert not [r for r in records if isinstance(r, Mismatch) and r.how == "twin"]
        digests += [r for r in records if isinstance(r, ProductDigest)]
    minorities = vote(digests, dict.fromkeys(("gpu0", "gpu1", "gpu2"), "part"))
    assert {minority.device for minority in minorities if not minority.is_tie} == {"gpu1"}


@pytest.mark.parametrize("dtype", ["bf16", "fp32", "fp64", "int8"])
def test_float64_at_sampled_elements_shows_an_error_of_all_devices(dtype: str) -> None:
    a, b = (operand(dtype, 64, 64, seed, torch.device("cpu")) for seed in (1, 2))
    right = a.to(torch.float64) @ b.to(torch.float64)
    assert spot_check(dtype, a, b, right.to(RESULT[dtype]), seed=3) is None
    spot = spot_check(dtype, a, b, (right * 1.5 + 1).to(RESULT[dtype]), seed=3)
    assert spot is not None
    assert spot.num_wrong > 900


@pytest.mark.parametrize(("m", "n"), [(256, 256), (96, 200), (20, 70)])
def test_a_tile_that_is_wrong_as_a_whole_is_seen_wherever_it_lies(m: int, n: int) -> None:
    a, b = operand("fp32", m, 64, 1, torch.device("cpu")), operand("fp32", 64, n, 2, torch.device("cpu"))
    right = a @ b
    rows, columns = (min(BANDS, length) for length in (m, n))
    chance = random.Random(11)
    for attempt in range(50):
        row, column = chance.randrange(rows), chance.randrange(columns)
        top, left = row * m // rows, column * n // columns
        bottom, end = (row + 1) * m // rows, (column + 1) * n // columns
        wrong = right.clone()
        wrong[top:bottom, left:end] += 1000
        spot = spot_check("fp32", a, b, wrong, seed=attempt)
        assert spot is not None
        assert spot.num_wrong == 1
        assert top <= spot.index // n < bottom
        assert left <= spot.index % n < end


def test_operands_have_wide_exponents_and_neither_nan_nor_infinity() -> None:
    for dtype, powers in (("bf16", 16), ("fp16", 8), ("fp32", 16), ("fp64", 16), ("fp8", 4)):
        values = operand(dtype, 256, 256, 3, torch.device("cpu")).to(torch.float64)
        assert bool(torch.isfinite(values).all())
        exponents = torch.frexp(values.abs()).exponent.unique()
        assert len(exponents) == powers
        assert abs(float((values > 0).double().mean()) - 0.5) < 0.02


def test_equal_seeds_give_equal_bits_and_others_do_not() -> None:
    first, again, other = (raw_bits(operand("bf16", 64, 64, seed, torch.device("cpu"))) for seed in (4, 4, 5))
    assert torch.equal(first, again)
    assert float((first == other).double().mean()) < 0.01


def test_the_digest_does_not_depend_on_order_and_sees_every_bit() -> None:
    result = torch.arange(64, dtype=torch.float32).view(8, 8)
    slots = torch.zeros(3, dtype=torch.int64)
    digest_into(result, slots[0])
    digest_into(result.view(4, 16), slots[1])
    raw_bits(result)[5] ^= 1
    digest_into(result, slots[2])
    assert slots[0] == slots[1] != slots[2]


def burn(device: SpoiledDevice, seconds: float = 0.2, dtypes: tuple[str, ...] = ("bf16",)) -> list[Record]:
    task = Task(seconds=seconds, seed=1, dtypes=dtypes, memory_ratio=1e-6, stop=lambda: False)
    return list(BURNS["gemm"].run([device], task))


def flip_at_random(out: torch.Tensor) -> None:
    flip(random.randrange(15), random.randrange(out.numel()))(out)


def test_a_device_that_is_never_right_twice_has_a_digest_without_a_vote() -> None:
    digests = [
        r for r in burn(SpoiledDevice(wrong=frozenset({-1}), spoil=flip_at_random)) if isinstance(r, ProductDigest)
    ]
    assert digests
    assert (digests[0].round, digests[0].pair, digests[0].is_verified) == (0, 0, False)
    assert vote(digests[:1], {}) == ()


def test_the_first_digest_of_a_sound_device_is_told_again_once_it_is_verified() -> None:
    digests = [r for r in burn(SpoiledDevice()) if isinstance(r, ProductDigest)]
    first, again = [digest for digest in digests if (digest.round, digest.pair) == (0, 0)]
    assert (first.is_verified, again.is_verified, first.digest == again.digest) == (False, True, True)
    assert all(digest.is_verified for digest in digests[1:])


class SlowDevice(SpoiledDevice):
    """Each product takes 10 ms on a clock of its own, and what verifies it takes `digest_seconds`."""

    def __init__(self, digest_seconds: float, wrong: frozenset[int] = frozenset(), spoil: Spoil | None = None) -> None:
        super().__init__("gpu0", wrong, spoil)
        self._digest_seconds = digest_seconds
        self._seconds = 0.0
        self.clock = self  # type: ignore[assignment]

    def now(self) -> float:
        return self._seconds

    def multiply(self, dtype: str, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
        super().multiply(dtype, a, b, out)
        self._seconds += 0.01

    def copy(self, source: torch.Tensor, destination: torch.Tensor, *, to_peer: bool = False) -> None:
        super().copy(source, destination)
        self._seconds += self._digest_seconds


def test_a_point_is_the_rate_of_the_products_alone_and_tells_what_verifying_took() -> None:
    points = [record for record in burn(SlowDevice(0.0025), seconds=4.0) if isinstance(record, Point)]
    assert len(points) >= 5
    assert [point.value for point in points] == pytest.approx([SMALL.flops / 0.01] * len(points))
    assert [point.busy_ratio for point in points] == pytest.approx([0.8] * len(points), rel=0.02)


def test_finding_out_what_was_wrong_costs_no_time_that_counts() -> None:
    """A device that is wrong every third time is wrong, and not slow."""
    device = SlowDevice(0.0, frozenset(range(0, 3000, 3)), flip_at_random)
    records = burn(device, seconds=4.0)
    points = [record for record in records if isinstance(record, Point)]
    assert sum(isinstance(record, Mismatch) for record in records) > 20
    assert [point.value for point in points] == pytest.approx([SMALL.flops / 0.01] * len(points))
    assert [point.busy_ratio for point in points] == pytest.approx([1.0] * len(points))


@pytest.mark.parametrize("wrong", [frozenset({-1}), frozenset({0})])
def test_a_result_outside_its_bound_is_repeated_before_it_is_reported(wrong: frozenset[int]) -> None:
    """Of the only product: wrong each time, or the first time alone."""
    device = SpoiledDevice(spoil=lambda out: out.fill_(1000.0), wrong=wrong)
    pool = Pool(device, "fp32", 1, seconds=1e9, num_bytes=1)
    task = Task(seconds=0.0, seed=1, dtypes=(), memory_ratio=0.5, stop=lambda: True)
    rounds = _Rounds(device, pool, "fp32", 0.0, task)
    rounds._ring.issue((0, 0))
    list(rounds._settle())
    (mismatch,) = rounds._spot()
    assert isinstance(mismatch, Mismatch)
    assert (mismatch.how, mismatch.num_wrong, mismatch.reproduced) == ("fp64", 1024, -1 in wrong)


class BrokenDevice(SpoiledDevice):
    """Throws at int8 once the format has been tried, and from then on at everything if it `dies`."""

    def __init__(self, *, dies: bool) -> None:
        super().__init__("gpu0")
        self._dies = dies
        self._num_thrown = 0

    def multiply(self, dtype: str, a: torch.Tensor, b: torch.Tensor, out: torch.Tensor) -> None:
        super().multiply(dtype, a, b, out)
        if dtype == "int8" and self.num_calls > 1:
            self._num_thrown += 1
            raise RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED")

    def mark(self) -> Mark:
        if self._dies and self._num_thrown:
            raise RuntimeError("CUDA error: still gone")
        return super().mark()


def test_a_format_that_breaks_is_an_error_of_its_own_and_the_next_one_has_its_turn() -> None:
    records = burn(BrokenDevice(dies=False), dtypes=("int8", "fp32"))
    (problem,) = [record for record in records if isinstance(record, Problem)]
    assert (problem.case, problem.verdict, problem.code) == (f"int8 {SMALL}", Verdict.ERROR, "crashed")
    assert "CUBLAS_STATUS_NOT_SUPPORTED" in problem.message
    assert {record.case for record in records if isinstance(record, Counted)} == {f"fp32 {SMALL}"}


def test_a_device_that_answers_no_more_ends_the_burn_with_what_it_said_first() -> None:
    with pytest.raises(RuntimeError, match="CUBLAS_STATUS_NOT_SUPPORTED"):
        burn(BrokenDevice(dies=True), dtypes=("int8", "fp32"))


def test_a_burn_measures_counts_and_stops_when_told() -> None:
    device = SpoiledDevice()
    device.open()
    seen: list[Record] = []
    task = Task(seconds=60, seed=1, dtypes=("bf16", "tf32"), memory_ratio=1e-6, stop=lambda: device.num_calls > 200)
    seen.extend(BURNS["gemm"].run([device], task))
    assert any(isinstance(record, Point) and record.value > 0 for record in seen)
    counted = [record for record in seen if isinstance(record, Counted)]
    assert counted[0].count == device.num_calls - 1
