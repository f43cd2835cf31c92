"""Products in flight, and the comparison that verifies every one of them.

    issue   C[p mod DEPTH] = A·B between two marks, its digest and a copy of the digest to the host, and a third mark
    settle  waits for the oldest third mark, compares the digest with the first one of the same pair

The digest is queued behind its product and not beside the next one: kernels of products fill a GPU's registers, so that
it would only run where it takes time from a product, and the time of a product would say nothing any more.

Two more buffers than products in flight: when a twin shows that its predecessor was wrong, both results are still held
and the wrong element can be named.
"""

from collections import deque
from dataclasses import dataclass

import torch

from fryer.burns.operands import digest_into, raw_bits, show_digest
from fryer.burns.pool import Pool, pair_id
from fryer.devices import Device, Mark
from fryer.records import Mismatch

DEPTH = 6
IN_FLIGHT = DEPTH - 2
"""Enough to keep a GPU busy (1.5 ms each on an H100), few enough to stop within a second on a CPU."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A product that is done."""

    at_seconds: float
    """When its digest was there, on the run's clock."""
    product_seconds: float
    """How long the product itself took."""
    pair: tuple[int, int]
    digest: int
    confirmed: bool = False
    """The second product of its pair in this round, and equal to the first."""
    mismatch: Mismatch | None = None
    explained: tuple[float, float] | None = None
    """From when to when it was looked into what was wrong; on the run's clock."""


@dataclass(frozen=True, slots=True)
class _Flight:
    number: int
    pair: tuple[int, int]
    begin: Mark
    end: Mark
    verified: Mark


@dataclass(frozen=True, slots=True)
class _Known:
    digest: int
    number: int
    confirmed: bool


class Ring:
    """Multiplies pairs of one pool, and remembers what each pair's product must be."""

    def __init__(self, device: Device, pool: Pool, case: str) -> None:
        """Take `DEPTH` result buffers and one spare from the device's memory."""
        self._device = device
        self._pool = pool
        self._case = case
        self._results = [device.product_buffer(pool.dtype) for _ in range(DEPTH + 1)]
        self._digests = torch.zeros(DEPTH + 1, dtype=torch.int64, device=device.torch_device)
        self._host_digests = device.host_buffer(8 * (DEPTH + 1)).view(torch.int64)
        self._flying: deque[_Flight] = deque()
        self._issued: set[tuple[int, int]] = set()
        self._known: dict[tuple[int, int], _Known] = {}
        self._number = 0

    @property
    def full(self) -> bool:
        """Nothing more may be issued before the oldest is settled."""
        return len(self._flying) >= IN_FLIGHT

    @property
    def empty(self) -> bool:
        """Everything issued is settled."""
        return not self._flying

    def is_new(self, pair: tuple[int, int]) -> bool:
        """No product of this pair has been issued in this round."""
        return pair not in self._issued

    def new_round(self) -> None:
        """Forget what products must be: the pool holds new numbers."""
        assert self.empty
        self._issued.clear()
        self._known.clear()

    def issue(self, pair: tuple[int, int]) -> None:
        """Queue the product of a pair with its digest."""
        slot = self._number % DEPTH
        begin = self._device.mark()
        end = self._queue(pair, slot)
        self._flying.append(_Flight(self._number, pair, begin, end, self._device.mark()))
        self._issued.add(pair)
        self._number += 1

    def settle(self) -> Settled:
        """Wait for the oldest product in flight and compare it."""
        flight = self._flying.popleft()
        at_seconds = self._device.wait(flight.verified)
        took = self._device.between(flight.begin, flight.end)
        digest = int(self._host_digests[flight.number % DEPTH])
        known = self._known.get(flight.pair)
        if known is None:
            self._known[flight.pair] = _Known(digest, flight.number, confirmed=False)
            return Settled(at_seconds, took, flight.pair, digest)
        if digest == known.digest:
            self._known[flight.pair] = _Known(digest, flight.number, confirmed=True)
            return Settled(at_seconds, took, flight.pair, digest, confirmed=not known.confirmed)
        begin = self._device.wait(self._device.mark())  # those in flight are done: from here on we only explain
        mismatch = self._explain(flight, digest, known, at_seconds)
        end = self._device.wait(self._device.mark())
        return Settled(at_seconds, took, flight.pair, digest, mismatch=mismatch, explained=(begin, end))

    def repeat(self, pair: tuple[int, int]) -> torch.Tensor:
        """The product of a pair once more, done; held until the next one that is repeated."""
        self._again(pair)
        return self._results[DEPTH]

    def last(self) -> tuple[tuple[int, int], torch.Tensor] | None:
        """Pair and result of the product settled last; None before the first."""
        if self._number == 0:
            return None
        number = self._number - len(self._flying) - 1
        pairs = {known.number: pair for pair, known in self._known.items()}
        return (pairs[number], self._results[number % DEPTH]) if number in pairs else None

    def _queue(self, pair: tuple[int, int], slot: int) -> Mark:
        """Queue a product and its digest; returns the mark between them."""
        a, b = self._pool.a[pair[0]], self._pool.b[pair[1]]
        self._device.multiply(self._pool.dtype, a, b, self._results[slot])
        end = self._device.mark()
        digest_into(self._results[slot], self._digests[slot])
        self._device.copy(self._digests[slot], self._host_digests[slot])
        return end

    def _again(self, pair: tuple[int, int]) -> int:
        """Multiply a pair into the spare buffer, now; returns the digest."""
        self._queue(pair, DEPTH)
        self._device.wait(self._device.mark())
        return int(self._host_digests[DEPTH])

    def _explain(self, flight: _Flight, digest: int, known: _Known, at_seconds: float) -> Mismatch:
        """Multiply twice more: what comes out both times is right, and the other of the two results was wrong."""
        repeats = (self._again(flight.pair), self._again(flight.pair))
        earlier_was_wrong = not known.confirmed and repeats == (digest, digest)
        right = digest if earlier_was_wrong else known.digest
        number, read = (known.number, known.digest) if earlier_was_wrong else (flight.number, digest)
        held = self._results[number % DEPTH] if flight.number - number < DEPTH - IN_FLIGHT else None
        self._known[flight.pair] = _Known(right, flight.number, confirmed=True)
        comparable = held is not None and repeats[1] == right
        where = locate(held, self._results[DEPTH]) if comparable and held is not None else None
        return Mismatch(
            device=self._device.name,
            burn="gemm",
            case=self._case,
            seed=self._pool.seed_of("a", flight.pair[0]),
            round=self._pool.round,
            pair=pair_id(*flight.pair),
            at_seconds=at_seconds,
            index=where.index if where else None,
            num_wrong=where.num_wrong if where else None,
            expected=where.expected if where else show_digest(right),
            read=where.read if where else show_digest(read),
            is_nan=where.is_nan if where else False,
            reproduced=any(repeat != right for repeat in repeats),
            how="twin",
        )


@dataclass(frozen=True, slots=True)
class Where:
    """The first element in which two results differ."""

    index: int
    num_wrong: int
    expected: str
    read: str
    is_nan: bool


def locate(wrong: torch.Tensor, right: torch.Tensor) -> Where | None:
    """Find where two results of one format differ, bit for bit; None where they do not."""
    wrong_bits, right_bits = raw_bits(wrong), raw_bits(right)
    different = wrong_bits != right_bits
    num_wrong = int(different.sum())
    if not num_wrong:
        return None
    index = int(different.to(torch.uint8).argmax())
    mask = (1 << (8 * wrong.element_size())) - 1
    width = 2 * wrong.element_size()
    return Where(
        index=index,
        num_wrong=num_wrong,
        expected=f"0x{int(right_bits[index]) & mask:0{width}x}",
        read=f"0x{int(wrong_bits[index]) & mask:0{width}x}",
        is_nan=bool(torch.isnan(wrong.view(-1)[index])) if wrong.is_floating_point() else False,
    )
