"""Columns of numbers come out of their bytes exactly, and absent is never 0."""

import json
import math
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.store.numbers import pack_table, unpack_table
from watchdog.store.packing import PackingError

cells = st.none() | st.floats(allow_nan=False)


@given(
    st.integers(0, 20).flatmap(
        lambda rows: st.tuples(
            st.just(rows),
            st.dictionaries(st.text(), st.lists(cells, min_size=rows, max_size=rows), max_size=5),
            st.dictionaries(st.text(), st.lists(st.text(), min_size=rows, max_size=rows), max_size=3),
        )
    )
)
def test_columns_come_back_as_they_were(table: tuple[int, dict[str, list[float | None]], dict[str, list[str]]]) -> None:
    num_rows, numbers, texts = table
    assert unpack_table(pack_table(num_rows, numbers, texts)) == (numbers, texts)


def test_nan_is_a_number_and_absent_is_none() -> None:
    numbers, _ = unpack_table(pack_table(3, {"loss": [math.nan, None, 0.0]}))
    first, second, third = numbers["loss"]
    assert first is not None
    assert math.isnan(first)
    assert (second, third) == (None, 0.0)


def test_the_encoding_is_the_documented_one() -> None:
    """Files outlive programs: a change here would make old ones unreadable."""
    data = zlib.decompress(pack_table(2, {"a": [None, 2.5]}, {"b": ["x", "y"]}))
    (length,) = struct.unpack_from("<I", data)
    assert json.loads(data[4 : 4 + length]) == {"rows": 2, "numbers": ["a"], "singles": [], "texts": {"b": ["x", "y"]}}
    assert data[4 + length :] == b"\x00\x01" + struct.pack("<d", 2.5)


@pytest.mark.parametrize(
    "packed", [b"", b"junk", zlib.compress(b""), zlib.compress(b"\x02\x00\x00\x00{}"), pack_table(1, {"a": [1.0]})[:-3]]
)
def test_damaged_bytes_are_no_table(packed: bytes) -> None:
    with pytest.raises(PackingError, match=f"a block of {len(packed)} bytes"):
        unpack_table(packed)


def test_values_that_are_missing_at_the_end_are_told_from_absent_ones() -> None:
    data = zlib.decompress(pack_table(2, {"a": [1.0, 2.0]}))
    with pytest.raises(PackingError):
        unpack_table(zlib.compress(data[:-8]))


def test_singles_have_seven_digits_and_take_half() -> None:
    values = [None, 0.1, -1e39, 1e39, math.inf, 1.5]
    packed = pack_table(6, {"a": values}, singles=["a"])
    numbers, _ = unpack_table(packed)
    absent, tenth, *others = numbers["a"]
    assert absent is None
    assert tenth == pytest.approx(0.1, rel=1e-7)
    assert others == [-math.inf, math.inf, math.inf, 1.5]
    assert zlib.decompress(packed).endswith(struct.pack("<f", 1.5))
