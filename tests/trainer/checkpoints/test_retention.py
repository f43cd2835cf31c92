from hypothesis import given
from hypothesis import strategies as st

from trainer.checkpoints.retention import Kept, Rules, to_delete
from trainer.checkpoints.words import State

KEPT = st.lists(
    st.builds(
        Kept,
        step=st.integers(1, 40),
        state=st.sampled_from(State),
        is_pinned=st.booleans(),
        problem=st.sampled_from(["", "", "", "damaged"]),
    ),
    unique_by=lambda each: each.step,
)
RULES = st.builds(
    Rules,
    keep_last=st.integers(0, 4),
    keep_every_steps=st.integers(0, 10),
    stage_ends=st.frozensets(st.integers(1, 40), max_size=3),
)


def newest(kept, states):
    return max((each.step for each in kept if each.state in states and not each.problem), default=None)


@given(KEPT, RULES)
def test_what_a_run_may_need_is_never_deleted(kept, rules):
    gone = set(to_delete(kept, rules))

    assert newest(kept, {State.GOOD}) not in gone
    assert newest(kept, {State.VERIFIED, State.GOOD}) not in gone
    assert newest(kept, {State.COMPLETE, State.VERIFIED, State.GOOD}) not in gone
    for each in kept:
        if each.is_pinned or each.state is State.WRITING:
            assert each.step not in gone


@given(KEPT, RULES)
def test_sound_ones_on_the_grid_at_a_stage_s_end_and_the_last_few_stay(kept, rules):
    gone = set(to_delete(kept, rules))
    usable = [
        each.step for each in kept if each.state in (State.COMPLETE, State.VERIFIED, State.GOOD) and not each.problem
    ]
    assert not gone.intersection(sorted(usable)[len(usable) - rules.keep_last :] if rules.keep_last else [])
    for step in usable:
        if step in rules.stage_ends or (rules.keep_every_steps and step % rules.keep_every_steps == 0):
            assert step not in gone


@given(KEPT, RULES)
def test_after_a_deletion_nothing_more_is_to_be_deleted(kept, rules):
    gone = set(to_delete(kept, rules))
    assert to_delete([each for each in kept if each.step not in gone], rules) == []


def test_the_only_good_one_stays_however_old_it_is():
    kept = [Kept(step=1, state=State.GOOD), *(Kept(step=n, state=State.VERIFIED) for n in range(2, 7))]
    assert to_delete(kept, Rules(keep_last=2)) == [2, 3, 4]


def test_the_newest_verified_one_goes_only_after_a_newer_one_is_verified():
    kept = [Kept(step=1, state=State.VERIFIED), *(Kept(step=n, state=State.COMPLETE) for n in range(2, 5))]
    assert to_delete(kept, Rules(keep_last=1)) == [2, 3]
    verified = [*kept[:3], Kept(step=4, state=State.VERIFIED)]
    assert to_delete(verified, Rules(keep_last=1)) == [1, 2, 3]


def test_bad_and_suspect_ones_stay_as_evidence_until_a_newer_good_one_is_there():
    kept = [Kept(step=1, state=State.GOOD), Kept(step=2, state=State.BAD), Kept(step=3, state=State.SUSPECT)]
    assert to_delete(kept, Rules(keep_last=1)) == []
    assert to_delete([*kept, Kept(step=4, state=State.GOOD)], Rules(keep_last=1)) == [1, 2, 3]
