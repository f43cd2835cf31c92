"""Series as bytes. The encodings are part of the schema: files outlive programs, so they don't change.

points    zlib(N pairs of (seconds, value)), each an IEEE 754 double, little-endian: 16·N bytes once inflated
columns   zlib(UTF-8 JSON object: name -> list of N values); an absent reading is null, never 0

To read one by hand: ``struct.iter_unpack("<dd", zlib.decompress(blob))``, ``json.loads(zlib.decompress(blob))``.
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence


class PackingError(ValueError):
    """Bytes in the store that are no packed series: the file is damaged."""


def pack_points(points: Sequence[tuple[float, float]]) -> bytes:
    """`points` (N pairs) as bytes; exact, NaN and infinities included."""
    flat = [number for point in points for number in point]
    return zlib.compress(struct.pack(f"<{len(flat)}d", *flat))


def unpack_points(packed: bytes) -> tuple[tuple[float, float], ...]:
    """The points in `packed`; raises `PackingError`."""
    try:
        return tuple(struct.iter_unpack("<dd", zlib.decompress(packed)))
    except (zlib.error, struct.error) as error:
        raise PackingError(f"a series of {len(packed)} bytes can't be unpacked: {error}") from error


def pack_columns(columns: Mapping[str, Sequence[object]]) -> bytes:
    """`columns` as bytes. Values are what strict JSON can say: no NaN."""
    return zlib.compress(json.dumps(dict(columns), allow_nan=False, separators=(",", ":")).encode())


def unpack_columns(packed: bytes) -> dict[str, list[object]]:
    """The columns in `packed`; raises `PackingError`."""
    try:
        columns = json.loads(zlib.decompress(packed))
    except (zlib.error, ValueError) as error:
        raise PackingError(f"a recording of {len(packed)} bytes can't be unpacked: {error}") from error
    if not isinstance(columns, dict) or not all(isinstance(values, list) for values in columns.values()):
        raise PackingError(f"a recording of {len(packed)} bytes holds no columns")
    return columns
