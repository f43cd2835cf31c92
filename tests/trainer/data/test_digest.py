import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.digest import combine, sample_digest, show_digest

TOKENS = np.arange(33, dtype=np.int64)


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1)), st.randoms(use_true_random=False), st.integers(1, 5))
def test_a_batch_has_one_digest_however_it_is_shared_out(digests: list[int], chance: object, ranks: int) -> None:
    shuffled = list(digests)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    whole = combine(combine(shuffled[rank::ranks]) for rank in range(ranks))
    assert whole == combine(digests)
    assert -(2**63) <= whole < 2**63


def test_a_digest_tells_stages_samples_and_tokens_apart() -> None:
    other = TOKENS.copy()
    other[17] += 1
    found = [
        sample_digest("one", 5, TOKENS),
        sample_digest("two", 5, TOKENS),
        sample_digest("one", 6, TOKENS),
        sample_digest("one", 5, other),
    ]
    assert len(set(found)) == 4
    assert all(-(2**63) <= digest < 2**63 for digest in found)


def test_long_names_of_stages_are_told_apart() -> None:
    name = "a stage with a name that is longer than any key of a hash may ever be, "
    assert sample_digest(name + "1", 5, TOKENS) != sample_digest(name + "2", 5, TOKENS)


def test_a_digest_never_changes_with_a_version() -> None:
    """Or a run that goes on after an update would seem to read other data."""
    assert show_digest(sample_digest("one", 5, TOKENS)) == "6eaf42b51dd10fc0"


@pytest.mark.parametrize(("digest", "text"), [(0, "0" * 16), (-1, "f" * 16), (255, "00000000000000ff")])
def test_a_digest_is_shown_as_sixteen_digits(digest: int, text: str) -> None:
    assert show_digest(digest) == text
