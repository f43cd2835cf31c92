import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.ledger import Ledger, Skip, ledger_from_json, merged
from trainer.plan.position import Place

SKIPS = st.builds(
    lambda stage, first, length: Skip(stage=stage, first=first, end=first + length, incident="i"),
    st.sampled_from(["one", "two"]),
    st.integers(0, 100),
    st.integers(1, 20),
)


def place(first: int, number: int) -> Place:
    return Place(stage=0, step_in_stage=first // number, first_sample=first, num_samples=number)


@given(st.lists(SKIPS, max_size=5), st.integers(0, 20), st.integers(1, 8))
def test_a_step_is_skipped_where_any_of_its_samples_is(skips: list[Skip], step: int, batch: int) -> None:
    ledger = Ledger(tuple(skips))
    here = place(step * batch, batch)
    samples = range(here.first_sample, here.first_sample + batch)
    touched = any(skip.stage == "one" and skip.first <= sample < skip.end for skip in skips for sample in samples)
    assert (ledger.covers("one", here) is not None) is touched


@given(st.lists(SKIPS, max_size=5))
def test_a_ledger_comes_back_from_json(skips: list[Skip]) -> None:
    ledger = Ledger(tuple(skips))
    assert ledger_from_json(json.loads(json.dumps(ledger.to_json()))) == ledger


def test_a_range_without_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="samples 5 to 5 of one are no range"):
        Ledger().add(Skip(stage="one", first=5, end=5, incident="i"))


def test_a_ledger_grows_and_forgets_nothing() -> None:
    first = Skip(stage="one", first=0, end=4, incident="a")
    second = Skip(stage="one", first=8, end=9, incident="b")
    assert Ledger().add(first).add(second).skips == (first, second)


def test_ledgers_of_several_attempts_are_joined_without_repeats() -> None:
    first = Skip(stage="one", first=0, end=4, incident="a")
    second = Skip(stage="one", first=8, end=9, incident="b")
    assert merged([Ledger((first,)), Ledger((first, second))]).skips == (first, second)


def test_a_skip_of_fractions_is_refused() -> None:
    with pytest.raises(TypeError, match=r"whole numbers, not 1\.5 and 2"):
        ledger_from_json([{"stage": "one", "first": 1.5, "end": 2, "incident": ""}])
