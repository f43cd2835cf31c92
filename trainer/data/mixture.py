"""Which source each sample of a stage comes from, and which of that source's samples it is. Pure, without memory.

Samples are cut into blocks of K. Source s has floor(n * w) of the first n samples at each border of blocks, the
heaviest one the rest: exact, as weights are the decimal numbers that the plan gives. Inside a block each source owns
a run of slots as long as its count, and sample p takes the slot that is p's bits in reverse order, scrambled by key
(nested uniform scrambling: A. Owen, "Randomly Permuted (t,m,s)-Nets", 1995). So any aligned run of 2^m samples has one
slot in each 2^m-th of the block: a batch has the mixture that the plan says, within two samples a source, and no noise
of the loss comes from the draw of sources. Groups of 16 are shuffled first, or two sources of equal weight would take
strict turns, and every rank would see the same one for ever.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate

from trainer.data.permutation import hashed

SMALLEST_BLOCK = 1024
"""Samples; a power of two."""
GROUP_BITS = 4
"""Of the runs that are shuffled; longer aligned runs have the mixture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Where one sample comes from."""

    source: str
    occurrence: int
    """Among all samples of this source in the stage, from 0, without gap or repeat."""


class Mixture:
    """A stage's sources in the shares that their weights say."""

    def __init__(self, weights: Mapping[str, float], key: bytes) -> None:
        """Raises ValueError where no weight is above 0. Weights are taken as parts of their sum."""
        exact = {name: Fraction(str(weight)) for name, weight in sorted(weights.items()) if weight > 0}
        if not exact:
            raise ValueError(f"no source has a weight above 0 in {dict(weights)}")
        whole = sum(exact.values())
        self._shares = {name: weight / whole for name, weight in exact.items()}
        self._heaviest = max(self._shares, key=lambda name: self._shares[name])
        self._names = tuple(self._shares)
        self._key = key
        # with S^2 and more samples a block, the rest that the heaviest takes never shrinks from border to border
        self._num_bits = max(SMALLEST_BLOCK - 1, len(exact) ** 2 - 1).bit_length()
        self._block_of = lru_cache(maxsize=2)(self._count_block)
        self._turns_of = lru_cache(maxsize=2)(self._shuffle_group)

    @property
    def block(self) -> int:
        """Samples from one border to the next."""
        return 1 << self._num_bits

    def counts(self, num_blocks: int) -> dict[str, int]:
        """Samples of each source in the first `num_blocks` blocks."""
        total = num_blocks << self._num_bits
        found = {
            name: total * share.numerator // share.denominator
            for name, share in self._shares.items()
            if name != self._heaviest
        }
        rest = total - sum(found.values())
        return {name: found.get(name, rest) for name in self._names}

    def draw(self, sample: int) -> Draw:
        """Source of a sample of the stage, numbered from 0."""
        block, position = divmod(sample, self.block)
        before, ends = self._block_of(block)
        slot = self._slot(block, position)
        owner = bisect_right(ends, slot)
        name = self._names[owner]
        return Draw(source=name, occurrence=before[name] + slot - (ends[owner - 1] if owner else 0))

    def _count_block(self, block: int) -> tuple[Mapping[str, int], Sequence[int]]:
        """Samples of each source before a block, and the end of each one's slots in it."""
        before, after = self.counts(block), self.counts(block + 1)
        return before, tuple(accumulate(after[name] - before[name] for name in self._names))

    def _shuffle_group(self, block: int, group: int) -> Sequence[int]:
        return sorted(range(1 << GROUP_BITS), key=lambda place: hashed(self._key, block, group, place, 0))

    def _slot(self, block: int, position: int) -> int:
        """Bits of `position`, last first, each flipped as the key and the bits before it say: a permutation."""
        group, place = divmod(position, 1 << GROUP_BITS)
        position = group << GROUP_BITS | self._turns_of(block, group)[place]
        slot = 0
        for level in range(self._num_bits):
            flip = hashed(self._key, block, level, slot) & 1
            slot = slot << 1 | (position >> level & 1) ^ flip
        return slot
