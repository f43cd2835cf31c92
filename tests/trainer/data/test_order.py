from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_plan import plan, stage

from trainer.data.order import Order, Spot
from trainer.plan import Plan

SIZES = {"code": 1000, "web": 300, "math": 77}
MIXED = stage(mixture={"code": 0.5, "web": 0.3, "math": 0.2, "none": 0.0})


def spots(of: Plan, index: int = 0, number: int = 200, first: int = 0) -> list[Spot]:
    order = Order(of, index, SIZES)
    return [order.locate(sample) for sample in range(first, first + number)]


@settings(max_examples=5, deadline=None)
@given(st.integers(1, 700), st.integers(0, 3), st.integers(0, 2**31))
def test_each_epoch_of_a_source_has_every_sequence_once(size: int, epoch: int, seed: int) -> None:
    order = Order(plan(stage(), seed=seed), 0, {"code": size})
    # of a lone source an epoch's samples lie in the blocks of 1,024 that it touches
    first, last = epoch * size // 1024, ((epoch + 1) * size - 1) // 1024
    found = [order.locate(sample) for sample in range(first * 1024, (last + 1) * 1024)]
    assert sorted(spot.sequence for spot in found if spot.epoch == epoch) == list(range(size))


def test_each_epoch_of_a_mixed_source_has_every_sequence_once() -> None:
    found = spots(plan(MIXED), number=8 * 1024)
    for source, size, whole in (("web", 300, 8), ("math", 77, 21), ("code", 1000, 4)):
        for epoch in range(whole):
            at = [spot.sequence for spot in found if spot.source == source and spot.epoch == epoch]
            assert sorted(at) == list(range(size))


def test_each_epoch_has_an_order_of_its_own() -> None:
    order = Order(plan(stage()), 0, {"code": 1024})
    one, other = ([order.locate(first + sample).sequence for sample in range(1024)] for first in (0, 1024))
    assert sorted(one) == sorted(other) == list(range(1024))
    assert sum(a == b for a, b in zip(one, other, strict=True)) < 10


def test_sources_without_weight_are_never_drawn() -> None:
    assert {spot.source for spot in spots(plan(MIXED), number=1024)} == {"code", "web", "math"}


def test_edits_of_later_stages_and_stages_that_are_appended_change_nothing() -> None:
    later = stage("two", mixture={"web": 1.0})
    before = spots(plan(MIXED, later))
    edited = replace(later, steps=7, sequence_length=64, batch=2, mixture={"math": 1.0}, lr=1.0)
    assert spots(plan(MIXED, edited, stage("three"))) == before
    assert spots(plan(MIXED)) == before
    assert spots(plan(stage("zero"), MIXED), index=1) == before


def test_the_number_of_steps_and_the_batch_change_nothing() -> None:
    before = spots(plan(MIXED))
    assert spots(plan(replace(MIXED, steps=10**7))) == before
    assert spots(plan(replace(MIXED, batch=64))) == before


def test_another_seed_or_name_gives_another_order() -> None:
    before = spots(plan(MIXED))
    assert spots(plan(MIXED, seed=8)) != before
    assert spots(plan(replace(MIXED, name="other"))) != before


def test_a_sample_is_the_same_whatever_was_asked_for_before() -> None:
    order = Order(plan(MIXED), 0, SIZES)
    assert [order.locate(sample) for sample in reversed(range(200))] == spots(plan(MIXED))[::-1]


def test_sequences_of_one_long_document_do_not_lie_beside_each_other_in_a_batch() -> None:
    """Neighbours of an epoch are cut from one document. In a random order two of a batch of 64 are neighbours
    63 * 64 / 1000 = 4.03 times in a batch on average; read one after another, 63 times."""
    found = spots(plan(stage()), number=960)
    batches = [[spot.sequence for spot in found[first : first + 64]] for first in range(0, 960, 64)]
    near = sum(one + 1 in batch for batch in batches for one in batch)
    expected = 15 * 64 * 63 / 1000
    assert abs(near - expected) < 4 * expected**0.5
    beside = sum(abs(one - other) == 1 for batch in batches for one, other in pairwise(batch))
    assert beside < 10


def test_epochs_are_told_of_the_whole_stage() -> None:
    order = Order(plan(MIXED), 0, SIZES)
    assert order.epochs(10 * 1024) == {"code": 5120 / 1000, "web": 3072 / 300, "math": 2048 / 77}
    assert order.epochs(512) == pytest.approx({"code": 256 / 1000, "web": 153.5 / 300, "math": 102 / 77}, rel=0.01)


def test_nothing_that_is_kept_grows_with_what_was_read() -> None:
    order = Order(plan(MIXED), 0, SIZES)
    for sample in range(0, 10**9, 10**7):
        order.locate(sample)
    assert order._permutation.cache_info().currsize <= 6
