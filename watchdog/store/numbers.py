"""Columns of numbers and texts as bytes. The encoding is part of the schema: files outlive programs.

zlib( uint32 length of the header | header | for each column of numbers: N bytes 0 or 1, then its values )

The header is UTF-8 JSON: ``{"rows": N, "numbers": [name, ...], "texts": {name: [N texts]}}``. A byte of 1 says that
the row has a value; those that have one follow as IEEE 754 doubles, little-endian. So an absent reading takes a byte
that compresses to nothing and is never mistaken for 0 or NaN.
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence

from watchdog.store.packing import PackingError

Numbers = Mapping[str, Sequence[float | None]]
Texts = Mapping[str, Sequence[str]]


def pack_table(num_rows: int, numbers: Numbers, texts: Texts | None = None) -> bytes:
    """Columns of `num_rows` each as bytes; exact, NaN and infinities included, integers up to 2^53."""
    header = json.dumps(
        {"rows": num_rows, "numbers": list(numbers), "texts": texts or {}}, separators=(",", ":")
    ).encode()
    parts = [struct.pack("<I", len(header)), header]
    for column in numbers.values():
        present = [value for value in column if value is not None]
        parts.append(bytes(value is not None for value in column))
        parts.append(struct.pack(f"<{len(present)}d", *present))
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
            count = sum(flags)
            values = iter(struct.unpack_from(f"<{count}d", data, place + num_rows))
            numbers[str(name)] = [next(values) if flag else None for flag in flags]
            place += num_rows + 8 * count
        return numbers, dict(header["texts"])
    except (zlib.error, struct.error, ValueError, KeyError, TypeError, StopIteration) as error:
        raise PackingError(f"a block of {len(packed)} bytes can't be unpacked: {error}") from error
