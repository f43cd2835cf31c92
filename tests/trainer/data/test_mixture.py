from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.mixture import Draw, Mixture


@st.composite
def weights(draw: st.DrawFn) -> dict[str, float]:
    """Of 1 to 12 sources, as a person would write them; some tiny, some 0."""
    parts = draw(st.lists(st.sampled_from([0, 1, 3, 10, 250, 4000]), min_size=1, max_size=12).filter(any))
    return {f"s{number}": part / 10_000 for number, part in enumerate(parts)}


@settings(max_examples=8, deadline=None)
@given(weights(), st.binary(min_size=1, max_size=8), st.integers(0, 10**9))
def test_a_block_holds_each_sample_of_each_source_once_and_as_many_as_its_weight_says(
    shares: dict[str, float], key: bytes, block: int
) -> None:
    mixture = Mixture(shares, key)
    first = block * mixture.block
    draws = [mixture.draw(sample) for sample in range(first, first + mixture.block)]
    assert len(set(draws)) == mixture.block
    before, after = mixture.counts(block), mixture.counts(block + 1)
    for name in before:
        found = sorted(draw.occurrence for draw in draws if draw.source == name)
        assert found == list(range(before[name], after[name]))


@settings(deadline=None)
@given(weights(), st.integers(0, 10**9))
def test_at_each_border_of_blocks_counts_are_what_weights_say(shares: dict[str, float], num_blocks: int) -> None:
    mixture = Mixture(shares, b"key")
    counts = mixture.counts(num_blocks)
    total = num_blocks * mixture.block
    exact = {name: Fraction(str(weight)) for name, weight in shares.items() if weight > 0}
    whole = sum(exact.values())
    heaviest = max(sorted(exact), key=lambda name: exact[name])
    assert sum(counts.values()) == total
    for name, count in counts.items():
        missing = total * exact[name] / whole - count
        if name == heaviest:
            assert -len(exact) < missing <= 0
        else:
            assert 0 <= missing < 1


@settings(max_examples=20, deadline=None)
@given(weights(), st.integers(4, 8), st.integers(0, 1000))
def test_an_aligned_run_of_samples_has_the_mixture_within_two(shares: dict[str, float], bits: int, number: int) -> None:
    mixture = Mixture(shares, b"key")
    size = 1 << bits
    found = Counter(mixture.draw(sample).source for sample in range(number * size, (number + 1) * size))
    block = number * size // mixture.block
    before, after = mixture.counts(block), mixture.counts(block + 1)
    for name in before:
        assert abs(found[name] - (after[name] - before[name]) * size / mixture.block) < 2


def test_sources_come_in_no_fixed_turn() -> None:
    """Half and half: of 16 in a group 8 are of one source, so neighbours are alike 7 times of 15."""
    mixture = Mixture({"a": 0.5, "b": 0.5}, b"key")
    sources = [mixture.draw(sample).source for sample in range(1 << 14)]
    alike = sum(one == other for one, other in zip(sources[::2], sources[1::2], strict=True))
    assert abs(alike / (1 << 13) - 7 / 15) < 4 * 0.5 / (1 << 13) ** 0.5
    assert abs(sources[::16].count("a") / (1 << 10) - 0.5) < 4 * 0.5 / (1 << 10) ** 0.5


@settings(deadline=None)
@given(weights(), st.integers(0, 10**12))
def test_neither_the_order_of_sources_nor_what_was_drawn_before_matters(shares: dict[str, float], sample: int) -> None:
    again = Mixture(dict(reversed(shares.items())), b"key")
    again.draw(sample + 10**6)
    assert Mixture(shares, b"key").draw(sample) == again.draw(sample)


def test_a_mixture_never_changes_with_a_version() -> None:
    """Of a run that goes on after an update."""
    mixture = Mixture({"a": 0.5, "b": 0.3, "c": 0.2}, b"key")
    assert "".join(mixture.draw(sample).source for sample in range(5000, 5032)) == "abcabcabababaaacbbabaccaaabacbac"
    assert mixture.draw(10**9) == Draw(source="a", occurrence=499999907)


def test_another_key_gives_another_turn() -> None:
    one, other = (Mixture({"a": 0.5, "b": 0.5}, key) for key in (b"one", b"other"))
    assert [one.draw(sample) for sample in range(64)] != [other.draw(sample) for sample in range(64)]


def test_weights_that_are_all_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no source has a weight above 0"):
        Mixture({"a": 0.0}, b"key")
