from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.permutation import Permutation, derive_key

KEYS = st.binary(min_size=1, max_size=32)


def order(size: int, key: bytes) -> list[int]:
    permutation = Permutation(size, key)
    return [permutation(index) for index in range(size)]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), KEYS)
def test_every_element_stands_in_exactly_one_place(size: int, key: bytes) -> None:
    assert sorted(order(size, key)) == list(range(size))


@settings(deadline=None)
@given(st.integers(10**12, 2**60), st.integers(0, 10**12 - 1), KEYS)
def test_elements_of_ranges_that_no_memory_could_hold_are_inside_them(size: int, index: int, key: bytes) -> None:
    permutation = Permutation(size, key)
    assert 0 <= permutation(index) < size
    assert permutation(index) == Permutation(size, key)(index)


@settings(max_examples=40, deadline=None)
@given(KEYS, KEYS)
def test_another_key_gives_another_order(one: bytes, other: bytes) -> None:
    assert (order(100, one) == order(100, other)) is (one == other)


def test_an_order_never_changes_with_a_version() -> None:
    """Of a run that goes on after an update."""
    assert order(10, b"key") == [5, 0, 3, 8, 4, 2, 9, 1, 7, 6]
    assert Permutation(10**12, b"key")(123456789) == 822808388281


def test_all_orders_of_four_things_come_up_about_equally_often() -> None:
    """24 orders, 2,400 keys: a sum of squares of 23 degrees of freedom, below its 99.9th percentile."""
    found = Counter(tuple(order(4, derive_key(number))) for number in range(2400))
    assert len(found) == 24
    assert sum((count - 100) ** 2 / 100 for count in found.values()) < 49.7


@pytest.mark.parametrize("size", [10, 97, 500])
def test_neighbours_do_not_stay_neighbours(size: int) -> None:
    """Of a random order 2 neighbours are expected to still stand beside each other, whatever its size."""
    num_keys = 50
    kept = 0
    for number in range(num_keys):
        elements = order(size, derive_key(number))
        kept += sum(abs(one - other) == 1 for one, other in pairwise(elements))
    expected = 2 * (size - 1) / size
    assert abs(kept / num_keys - expected) < 4 * (2 / num_keys) ** 0.5


@pytest.mark.parametrize("size", [10, 97, 500])
def test_where_an_element_goes_says_nothing_of_where_it_was(size: int) -> None:
    """Correlation of place and element, mean over keys: 0, with a deviation of 1 / sqrt(size - 1) a key."""
    num_keys = 50
    middle = (size - 1) / 2
    variance = (size * size - 1) / 12
    found = 0.0
    for number in range(num_keys):
        found += sum(
            (place - middle) * (element - middle) for place, element in enumerate(order(size, derive_key(number)))
        )
    assert abs(found / (size * variance * num_keys)) < 4 / ((size - 1) * num_keys) ** 0.5


@pytest.mark.parametrize("index", [-1, 5])
def test_a_place_outside_of_the_range_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match=f"{index} is outside of 0 to 4"):
        Permutation(5, b"key")(index)


def test_nothing_has_no_order() -> None:
    with pytest.raises(ValueError, match="no order of 0 things"):
        Permutation(0, b"key")


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.text(), st.integers()), max_size=4), st.lists(st.one_of(st.text(), st.integers()), max_size=4)
)
def test_keys_differ_where_their_parts_do(one: list[str | int], other: list[str | int]) -> None:
    assert (derive_key(*one) == derive_key(*other)) is (one == other)
