import threading
from itertools import pairwise

import pytest
from checkpoint_files import make
from hypothesis import given
from hypothesis import strategies as st

from trainer.checkpoints.manifest import BadCheckpoint
from trainer.checkpoints.states import (
    ALLOWED,
    Change,
    NotAllowed,
    Status,
    changed,
    parse_status,
    pinned,
    read_status,
    set_pinned,
    set_state,
    to_text,
)
from trainer.checkpoints.words import State


@given(wanted=st.lists(st.sampled_from(State)))
def test_a_checkpoint_is_never_good_without_being_verified_before(wanted):
    status = Status(state=State.WRITING)
    states = [status.state]
    for at, state in enumerate(wanted):
        try:
            status = changed(status, state, at=at)
        except NotAllowed:
            continue
        states.append(status.state)
    for before, after in pairwise(states):
        assert after is not State.GOOD or before in (State.VERIFIED, State.GOOD)
        assert after is before or after in ALLOWED[before]


def test_a_change_that_makes_no_sense_names_those_that_do():
    with pytest.raises(NotAllowed, match="complete can't become good; it may become: bad, suspect, verified"):
        changed(Status(state=State.COMPLETE), State.GOOD, at=1.0)


def test_a_change_to_the_same_state_leaves_no_trace():
    status = Status(state=State.BAD)
    assert changed(status, State.BAD, at=1.0) is status
    assert pinned(status, False, at=1.0) is status


def test_the_history_has_every_change_and_pin():
    status = pinned(changed(Status(), State.VERIFIED, at=1.0, why="read"), True, at=2.0, why="for the paper")
    assert status.is_pinned
    assert status.history == (
        Change(state=State.VERIFIED, at=1.0, why="read"),
        Change(state=State.VERIFIED, at=2.0, why="for the paper"),
    )
    assert parse_status(to_text(status), where="s") == status


def test_a_new_checkpoint_is_complete_with_a_history(tmp_path):
    path = make(tmp_path, 3)
    assert [change.state for change in read_status(path).history] == [State.WRITING, State.COMPLETE]


def test_changes_at_the_same_time_are_all_kept(tmp_path):
    path = make(tmp_path, 3)
    threads = [threading.Thread(target=set_pinned, args=(path, True)) for _ in range(4)]
    threads += [threading.Thread(target=set_state, args=(path, State.VERIFIED))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status = read_status(path)
    assert (status.state, status.is_pinned) == (State.VERIFIED, True)
    assert len(status.history) == 4


def test_a_refused_change_leaves_the_file_as_it_was(tmp_path):
    path = make(tmp_path, 3)
    before = (path / "state.json").read_bytes()
    with pytest.raises(NotAllowed):
        set_state(path, State.GOOD)
    assert (path / "state.json").read_bytes() == before


@pytest.mark.parametrize("text", ["", "{}", '{"schema": "fryer/checkpoint-state", "version": 1, "state": "fine"}'])
def test_a_state_that_can_t_be_read_is_no_state(tmp_path, text):
    path = make(tmp_path, 3)
    (path / "state.json").write_text(text)
    with pytest.raises(BadCheckpoint, match=r"state\.json is not as it was written"):
        read_status(path)


def test_a_checkpoint_without_a_state_is_complete_and_no_more(tmp_path):
    path = make(tmp_path, 3)
    (path / "state.json").unlink()
    assert read_status(path) == Status(state=State.COMPLETE)
