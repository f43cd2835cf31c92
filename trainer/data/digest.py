"""A number that names the samples of a step: equal however they are shared out to ranks and micro-batches. Pure.

Each sample's hash covers which one it is and its tokens; a batch's is their sum modulo 2^64, so every rank adds up its
own and the sum over ranks is the batch's.
"""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from trainer.data.permutation import derive_key

_MODULUS = 1 << 64


def sample_digest(stage: str, sample: int, tokens: NDArray[np.int64]) -> int:
    """64 bits, signed as torch's int64, of one sample's tokens (S + 1,): inputs and the last label."""
    found = blake2b(tokens.astype("<i4").tobytes(), digest_size=8, key=derive_key("sample", stage, sample))
    return _signed(int.from_bytes(found.digest(), "little"))


def combine(digests: Iterable[int]) -> int:
    """Of several samples, or of several ranks' samples, in any order; 0 for none. Signed, modulo 2^64."""
    return _signed(sum(digests) % _MODULUS)


def show_digest(digest: int) -> str:
    """As 16 hexadecimal digits."""
    return f"{digest % _MODULUS:016x}"


def _signed(word: int) -> int:
    return word - _MODULUS if word >= _MODULUS // 2 else word
