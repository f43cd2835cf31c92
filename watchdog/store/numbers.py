"""Columns of numbers and texts as bytes. The encoding is part of the schema: files outlive programs.

zlib( uint32 length of the header | header | for each column of numbers: N bytes 0 or 1, then its values )

The header is UTF-8 JSON: ``{"rows": N, "numbers": [name, ...], "singles": [name, ...], "texts": {name: [N texts]}}``.
A byte of 1 says that the row has a value; those that have one follow as IEEE 754 doubles, little-endian, or as singles
where the column is among these. So an absent reading takes a byte that compresses to nothing, and is never mistaken
for 0 or NaN.
"""

import json
import math
import struct
import zlib
from collections.abc import Collection, Mapping, Sequence

from watchdog.store.packing import PackingError

_MOST_SINGLE = float.fromhex("0x1.fffffep+127")
"""The greatest single: `struct` refuses what is beyond."""
Numbers = Mapping[str, Sequence[float | None]]
Texts = Mapping[str, Sequence[str]]


def pack_table(num_rows: int, numbers: Numbers, texts: Texts | None = None, singles: Collection[str] = ()) -> bytes:
    """Columns of `num_rows` each as bytes; exact, NaN and infinities included, integers up to 2^53.

    Those of `numbers` that are named in `singles` are kept to seven digits; beyond 3.4e38 they become infinite.
    """
    header = {"rows": num_rows, "numbers": list(numbers), "singles": list(singles), "texts": texts or {}}
    encoded = json.dumps(header, separators=(",", ":")).encode()
    parts = [struct.pack("<I", len(encoded)), encoded]
    for name, column in numbers.items():
        present = [value for value in column if value is not None]
        parts.append(bytes(value is not None for value in column))
        parts.append(_packed_singles(present) if name in singles else struct.pack(f"<{len(present)}d", *present))
    return zlib.compress(b"".join(parts))


def unpack_table(packed: bytes) -> tuple[dict[str, list[float | None]], dict[str, list[str]]]:
    """(columns of numbers, columns of texts) in `packed`; raises `PackingError`."""
    try:
        data = zlib.decompress(packed)
        (length,) = struct.unpack_from("<I", data)
        header = json.loads(data[4 : 4 + length])
        place, num_rows, numbers = 4 + length, int(header["rows"]), {}
        for name in header["numbers"]:
            flags = data[place : place + num_rows]
            form = struct.Struct(f"<{sum(flags)}{'f' if name in header['singles'] else 'd'}")
            values = iter(form.unpack_from(data, place + num_rows))
            numbers[str(name)] = [next(values) if flag else None for flag in flags]
            place += num_rows + form.size
        return numbers, dict(header["texts"])
    except (zlib.error, struct.error, ValueError, KeyError, TypeError, StopIteration) as error:
        raise PackingError(f"a block of {len(packed)} bytes can't be unpacked: {error}") from error


def _packed_singles(values: Sequence[float]) -> bytes:
    limited = [math.copysign(math.inf, value) if abs(value) > _MOST_SINGLE else value for value in values]
    return struct.pack(f"<{len(limited)}f", *limited)
