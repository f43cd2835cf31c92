import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fryer.records import ProductDigest
from fryer.vote import vote

PARTS = {f"gpu{i}": "H100" for i in range(8)}


def ballot(device, digest, *, in_round=0, pair=0, seed=7, case="bf16"):
    return ProductDigest(device=device, case=case, round=in_round, pair=pair, seed=seed, digest=digest)


def test_one_of_eight_is_named_with_what_the_others_found():
    ballots = [ballot(f"gpu{i}", "bad" if i == 3 else "good") for i in range(8)]
    (found,) = vote(ballots, PARTS)
    assert (found.device, found.digest, found.majority, found.num_agree, found.num_voters, found.is_tie) == (
        "gpu3",
        "bad",
        "good",
        7,
        8,
        False,
    )


def test_two_devices_that_disagree_are_both_inconclusive():
    found = vote([ballot("gpu0", "x"), ballot("gpu1", "y")], PARTS)
    assert [(m.device, m.majority, m.is_tie) for m in found] == [("gpu0", None, True), ("gpu1", None, True)]


def test_a_plurality_is_no_majority():
    ballots = [ballot(f"gpu{i}", digest) for i, digest in enumerate("aaabbcd")]
    assert {m.device for m in vote(ballots, PARTS) if m.is_tie} == {f"gpu{i}" for i in range(7)}


def test_different_parts_do_not_vote_together():
    parts = {"gpu0": "H100", "gpu1": "H100", "gpu2": "H200"}
    assert vote([ballot("gpu0", "x"), ballot("gpu1", "x"), ballot("gpu2", "y")], parts) == ()


def test_other_seeds_pairs_and_cases_are_other_products():
    ballots = [
        ballot("gpu0", "a"),
        ballot("gpu1", "b", seed=8),
        ballot("gpu2", "c", pair=1),
        ballot("gpu3", "d", case="fp8"),
    ]
    assert vote(ballots, PARTS) == ()


def test_equal_seeds_are_one_product_in_whatever_round():
    ballots = [ballot(f"gpu{i}", digest, in_round=i * 4) for i, digest in enumerate(["good", "good", "bad"])]
    assert [(m.device, m.round) for m in vote(ballots, PARTS)] == [("gpu2", 8)]


def test_a_device_that_ran_more_rounds_does_not_outvote_the_other():
    ballots = [ballot("gpu0", "x", in_round=r) for r in range(10)] + [ballot("gpu1", "y")]
    assert all(m.is_tie for m in vote(ballots, PARTS))


def test_a_single_device_that_contradicts_itself_is_wrong_without_a_majority():
    (found, other) = vote([ballot("gpu0", "x", in_round=0), ballot("gpu0", "y", in_round=1)], PARTS)
    assert (found.is_tie, other.is_tie, found.majority) == (False, False, None)


def test_of_two_devices_the_one_that_contradicts_itself_is_named_alone():
    ballots = [ballot("gpu0", "x", in_round=0), ballot("gpu0", "y", in_round=1), ballot("gpu1", "x", in_round=0)]
    assert {(m.device, m.is_tie) for m in vote(ballots, PARTS)} == {("gpu0", False)}


def test_an_intermittent_device_is_named_in_the_rounds_it_failed():
    ballots = [ballot(f"gpu{i}", "bad" if (i, r) == (2, 4) else "good", in_round=r) for i in range(4) for r in range(8)]
    assert [(m.device, m.round) for m in vote(ballots, PARTS)] == [("gpu2", 4)]


def test_what_a_device_found_only_once_has_no_vote():
    ballots = [ballot(f"gpu{i}", "good") for i in range(3)] + [replace(ballot("gpu3", "bad"), is_verified=False)]
    assert vote(ballots, PARTS) == ()


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_ballots_does_not_matter(digests, generator: random.Random):
    ballots = [ballot(f"gpu{i}", digest) for i, digest in enumerate(digests)]
    shuffled = list(ballots)
    generator.shuffle(shuffled)
    assert set(vote(shuffled, PARTS)) == set(vote(ballots, PARTS))


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
def test_nobody_in_the_majority_is_ever_named(digests):
    ballots = [ballot(f"gpu{i}", digest) for i, digest in enumerate(digests)]
    named = {m.device: m for m in vote(ballots, PARTS)}
    for i, digest in enumerate(digests):
        if digests.count(digest) * 2 > len(digests):
            assert f"gpu{i}" not in named
        else:
            assert named[f"gpu{i}"].is_tie == all(digests.count(d) * 2 <= len(digests) for d in digests)
