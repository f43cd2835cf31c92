import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fryer.burns.patterns import PATTERNS, fill_own_address, fill_random, fill_walking_ones, fill_walking_zeros

MASK = (1 << 64) - 1
PLACES = st.integers(0, 1 << 40)
SEEDS = st.integers(0, 1 << 80)


def words(fill, count, first=0, seed=7, cycle=0):
    out = torch.empty(count, dtype=torch.int64)
    fill(out, first, seed, cycle)
    return [int(word) & MASK for word in out]


def splitmix64(state):
    """Steele, Lea, Flood 2014, as published in C."""
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        yield mixed(state)


def mixed(word):
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


@pytest.mark.parametrize("name", PATTERNS)
@given(first=PLACES, seed=SEEDS, cycle=st.integers(0, 200), cut=st.integers(0, 150))
def test_a_place_gets_the_same_word_however_the_memory_is_cut(name, first, seed, cycle, cut):
    fill = PATTERNS[name].fill
    whole = words(fill, 150, first, seed, cycle)
    assert words(fill, cut, first, seed, cycle) + words(fill, 150 - cut, first + cut, seed, cycle) == whole


@given(place=PLACES)
def test_walking_ones_set_each_bit_of_a_word_once_in_64_cycles(place):
    seen = [words(fill_walking_ones, 1, place, cycle=cycle)[0] for cycle in range(64)]
    assert sorted(seen) == [1 << bit for bit in range(64)]


def test_walking_zeros_are_the_complement_of_walking_ones():
    ones, zeros = words(fill_walking_ones, 130, 3, cycle=5), words(fill_walking_zeros, 130, 3, cycle=5)
    assert [one ^ zero for one, zero in zip(ones, zeros, strict=True)] == [MASK] * 130


def test_own_address_is_the_place_in_bytes_and_its_complement_in_odd_cycles():
    assert words(fill_own_address, 3, first=1 << 33) == [(1 << 36), (1 << 36) + 8, (1 << 36) + 16]
    assert words(fill_own_address, 2, cycle=1) == [MASK, MASK - 8]


def test_the_reference_generator_gives_the_published_numbers():
    published = splitmix64(0)
    assert [next(published) for _ in range(2)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


@given(seed=st.integers(0, 1 << 40), cycle=st.integers(0, 1000))
def test_random_words_are_those_of_splitmix64(seed, cycle):
    reference = splitmix64(mixed(seed * 0x10001 + cycle))
    assert words(fill_random, 20, seed=seed, cycle=cycle) == [next(reference) for _ in range(20)]


def test_random_words_differ_between_seeds_and_cycles():
    base = words(fill_random, 100)
    assert not set(base) & set(words(fill_random, 100, cycle=1))
    assert not set(base) & set(words(fill_random, 100, seed=8))


def test_bit_fade_is_tried_with_ones_and_with_zeros():
    faded = {name: words(pattern.fill, 2) for name, pattern in PATTERNS.items() if pattern.is_left_alone}
    assert faded == {"bit fade ones": [MASK, MASK], "bit fade zeros": [0, 0]}
