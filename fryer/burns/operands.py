"""Random operands, equal bit for bit wherever they are made, and the digest of what comes out.

Operand bits come from a counter-based generator in integer arithmetic only (the finalizer of SplitMix64: Steele, Lea,
Flood, "Fast splittable pseudorandom number generators", 2014, with two of its three rounds), so a CPU, a GPU and a
later run make the same numbers from the same seed, which torch's own generators do not promise across devices.
"""

import torch

_GAMMA = -7046029254386353131  # 0x9E3779B97F4A7C15, the golden ratio, as a signed word
_MIX = -4658895280553007687  # 0xBF58476D1CE4E5B9

STORAGE = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp64": torch.float64,
    "fp8": torch.float8_e4m3fn,
    "int8": torch.int8,
}
"""How an operand is kept. tf32 is fp32 data multiplied by the tensor cores' shorter format."""

RESULT = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp64": torch.float64,
    "fp8": torch.bfloat16,
    "int8": torch.int32,
}
"""How a product is kept."""

_WORD = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}

_KEEP_AND_SET = {
    # format: (bits kept random: sign, low exponent bits, mantissa; bits set: the exponent's high part)
    torch.bfloat16: (0x87FF, 0x3800),
    torch.float16: (0x9FFF, 0x2000),
    torch.float32: (0x87FFFFFF, 0x38000000),
    torch.float64: (0x80FFFFFFFFFFFFFF, 0x3F00000000000000),
    torch.float8_e4m3fn: (0x9F, 0x20),
}
"""Random sign and mantissa, and an exponent spread over 16 powers of two up to 2^0 (fp16: 8, fp8: 4).

Wide exponents toggle the alignment shifters that all-ones or N(0,1) data leave idle; the top of the range is 2, so that
a sum over k = 8192 stays far from the largest fp16 number. Neither NaN nor infinity can be made.
"""


def operand(dtype: str, rows: int, columns: int, seed: int, device: torch.device) -> torch.Tensor:
    """(rows, columns) of random `dtype` numbers; equal for equal arguments on every device.

    rows·columns times the element's size must be a multiple of 8 bytes.
    """
    storage = STORAGE[dtype]
    num_words = rows * columns * storage.itemsize // 8
    words = torch.arange(num_words, dtype=torch.int64, device=device).mul_(_GAMMA).add_(_signed(seed * 0x9E37 + 1))
    halves = words.view(torch.int32).view(-1, 2)
    halves[:, 0] ^= halves[:, 1]
    words.mul_(_MIX)
    halves[:, 0] ^= halves[:, 1]
    if storage in _KEEP_AND_SET:
        keep, base = _KEEP_AND_SET[storage]
        bits = words.view(_WORD[storage.itemsize])
        bits &= _signed(keep, storage.itemsize)
        bits |= _signed(base, storage.itemsize)
    return words.view(storage).view(rows, columns)


def digest_into(result: torch.Tensor, slot: torch.Tensor) -> None:
    """Queue the digest of `result` into the int64 scalar `slot`: the sum of its raw bits as 64-bit words, modulo 2^64.

    An integer sum does not depend on the order of the threads, and a NaN is bits like any other. Any single flipped bit
    changes it. `result` must be contiguous and a multiple of 8 bytes long.
    """
    torch.sum(result.view(-1).view(torch.int64), dim=0, out=slot)


def show_digest(value: int) -> str:
    """16 hex digits of a 64-bit sum."""
    return f"{value & 0xFFFFFFFFFFFFFFFF:016x}"


def raw_bits(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory as integers of the element's size, flat."""
    return tensor.view(-1).view(_WORD[tensor.element_size()])


def _signed(value: int, num_bytes: int = 8) -> int:
    """The two's complement reading of the low bytes of `value`."""
    bits = 8 * num_bytes
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
