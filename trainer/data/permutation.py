"""Shuffles that need no memory: a keyed permutation of any range, one element at a time. Pure.

A Feistel network over pairs (left, right) with left < a, right < b and a * b just above n (J. Black and P. Rogaway,
"Ciphers with Arbitrary Finite Domains", 2002, generalised Feistel); what falls outside of n is walked on along its
cycle until it falls inside, which keeps it a permutation.
"""

from hashlib import blake2b
from math import isqrt

NUM_ROUNDS = 10
"""As NIST SP 800-38G's FF1: small ranges need more than the four of Luby and Rackoff."""
_WORD_BYTES = 8


def derive_key(*parts: str | int) -> bytes:
    """A key of 32 bytes that differs for any difference in `parts`, their types and their number."""
    found = blake2b(digest_size=32, person=b"fryer data")
    for part in parts:
        text = repr(part).encode()
        found.update(len(text).to_bytes(_WORD_BYTES, "little") + text)
    return found.digest()


def hashed(key: bytes, *words: int) -> int:
    """64 bits that look random, of non-negative numbers below 2^64."""
    text = b"".join(word.to_bytes(_WORD_BYTES, "little") for word in words)
    return int.from_bytes(blake2b(text, digest_size=_WORD_BYTES, key=key).digest(), "little")


class Permutation:
    """One order of ``range(size)``, decided by `key`. Takes no memory that grows with `size`."""

    def __init__(self, size: int, key: bytes) -> None:
        if size < 1:
            raise ValueError(f"there is no order of {size} things")
        self.size = size
        # the smallest a * b >= size with a and b about equal: under 1 + 2 / sqrt(size) walks an element on average
        self._left = isqrt(size - 1) + 1
        self._right = -(-size // self._left)
        self._rounds = tuple(derive_key(key.hex(), number) for number in range(NUM_ROUNDS))

    def __call__(self, index: int) -> int:
        """Which element stands at `index`. Raises IndexError outside the range."""
        if not 0 <= index < self.size:
            raise IndexError(f"{index} is outside of 0 to {self.size - 1}")
        index = self._once(index)
        while index >= self.size:
            index = self._once(index)
        return index

    def _once(self, index: int) -> int:
        left, right = divmod(index, self._right)
        for number in range(0, NUM_ROUNDS, 2):
            left = (left + hashed(self._rounds[number], right)) % self._left
            right = (right + hashed(self._rounds[number + 1], left)) % self._right
        return left * self._right + right
