"""Series come out of their bytes exactly, and damaged bytes are told from an empty series."""

import json
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.store.packing import PackingError, pack_columns, pack_points, unpack_columns, unpack_points

numbers = st.floats(allow_nan=False)
cells = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(numbers, numbers)).map(tuple))
def test_points_come_back_as_they_were(points: tuple[tuple[float, float], ...]) -> None:
    assert unpack_points(pack_points(points)) == points


@given(st.dictionaries(st.text(), st.lists(cells)))
def test_columns_come_back_as_they_were(columns: dict[str, list[object]]) -> None:
    assert unpack_columns(pack_columns(columns)) == columns


def test_the_encoding_is_the_documented_one() -> None:
    """Files outlive programs: a change here would make old ones unreadable."""
    assert zlib.decompress(pack_points([(1.0, 2.5)])) == struct.pack("<dd", 1.0, 2.5)
    assert json.loads(zlib.decompress(pack_columns({"a": [1, None]}))) == {"a": [1, None]}


@pytest.mark.parametrize("packed", [b"", b"junk", zlib.compress(b"123"), pack_points([(1.0, 2.0)])[:-3]])
def test_damaged_points_are_no_series(packed: bytes) -> None:
    with pytest.raises(PackingError, match=f"a series of {len(packed)} bytes"):
        unpack_points(packed)


@pytest.mark.parametrize("packed", [b"", b"junk", zlib.compress(b"{"), zlib.compress(b"[]"), zlib.compress(b'{"a":1}')])
def test_damaged_columns_are_no_recording(packed: bytes) -> None:
    with pytest.raises(PackingError, match=f"a recording of {len(packed)} bytes"):
        unpack_columns(packed)
