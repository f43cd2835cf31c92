import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.checkpoints.find import (
    Candidate,
    NothingUsable,
    Tier,
    choose_to_resume,
    choose_to_roll_back,
    resume_or_begin,
)
from trainer.checkpoints.words import State

CANDIDATES = st.lists(
    st.builds(
        Candidate,
        tier=st.sampled_from(Tier),
        step=st.integers(0, 20),
        state=st.sampled_from(State),
        problem=st.sampled_from(["", "its manifest was cut off"]),
    )
)


def durable(step: int, state: State = State.GOOD, problem: str = "") -> Candidate:
    return Candidate(tier=Tier.DURABLE, step=step, state=state, problem=problem)


@given(CANDIDATES)
def test_the_newest_valid_one_is_chosen_and_each_newer_one_has_its_reason(candidates):
    choice = choose_to_resume(candidates)
    valid = [
        each for each in candidates if not each.problem and each.state in (State.COMPLETE, State.VERIFIED, State.GOOD)
    ]
    if choice.chosen is None:
        assert not valid
    else:
        assert choice.chosen.step == max(each.step for each in valid)
        assert choice.chosen.tier == min(each.tier for each in valid if each.step == choice.chosen.step)
    assert all(passed.why for passed in choice.passed)
    newer = [each for each in candidates if choice.chosen is None or each.step > choice.chosen.step]
    assert len(choice.passed) >= len(newer)


@given(CANDIDATES, st.integers(0, 20))
def test_a_rollback_goes_before_the_onset_and_to_what_is_trusted(candidates, onset):
    chosen = choose_to_roll_back(candidates, onset_step=onset).chosen
    trusted = [
        each.step
        for each in candidates
        if each.step < onset
        and not each.problem
        and (
            each.state is State.GOOD
            or (each.tier is not Tier.DURABLE and each.state in (State.COMPLETE, State.VERIFIED))
        )
    ]
    assert (chosen.step if chosen else None) == max(trusted, default=None)


def test_reasons_are_sentences():
    candidates = [
        durable(9, State.WRITING, "it is half-written"),
        durable(8, State.BAD),
        durable(7, State.SUSPECT),
        durable(6, problem="common.pt has 3 bytes and had 9 when it was written"),
        durable(5),
        durable(4),
    ]
    choice = choose_to_resume(candidates)
    assert choice.chosen == candidates[4]
    assert [str(passed) for passed in choice.passed] == [
        "durable step 9 is passed over: it is half-written",
        "durable step 8 is passed over: it is marked bad",
        "durable step 7 is passed over: it is suspect: something was found that may have begun before it",
        "durable step 6 is passed over: common.pt has 3 bytes and had 9 when it was written",
    ]


def test_at_an_equal_step_the_fastest_tier_is_taken():
    memory, local = Candidate(tier=Tier.MEMORY, step=5), Candidate(tier=Tier.LOCAL, step=5)
    assert choose_to_resume([durable(5), local, memory]).chosen is memory
    assert choose_to_resume([durable(5), local, durable(6)]).chosen == durable(6)


def test_a_rollback_says_why_newer_ones_are_not_trusted():
    choice = choose_to_roll_back([durable(5), durable(8, State.VERIFIED), durable(10)], onset_step=10)
    assert choice.chosen == durable(5)
    assert [passed.why for passed in choice.passed] == [
        "it is not before step 10, where the trouble may have begun",
        "it is verified, not good yet",
    ]


def test_a_run_without_checkpoints_begins():
    assert resume_or_begin(choose_to_resume([])) is None


def test_a_run_that_was_killed_in_its_first_save_begins():
    assert resume_or_begin(choose_to_resume([durable(5, State.WRITING, "it is half-written")])) is None


def test_a_run_whose_checkpoints_are_all_damaged_does_not_begin_anew():
    choice = choose_to_resume(
        [durable(5, problem="a file is missing"), durable(9, State.WRITING, "it is half-written")]
    )
    with pytest.raises(NothingUsable, match=r"(?s)no checkpoint can be used.*step 9.*half-written.*step 5.*missing"):
        resume_or_begin(choice)
