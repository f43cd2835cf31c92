import pytest
from checkpoint_files import make

from trainer.checkpoints.curator import Curator
from trainer.checkpoints.names import partial_of
from trainer.checkpoints.removal import Remover, leftovers, remove
from trainer.checkpoints.states import read_status, set_pinned, set_state
from trainer.checkpoints.words import State
from trainer.plan import CheckpointPlan


def curator_of(directory, **plan):
    return Curator(directory, CheckpointPlan(**({"keep_last": 2, "good_after_steps": 10} | plan)), stage_ends=())


def words(told):
    return [(each.step, each.state) for each in told]


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.is_dir())


def test_a_save_is_verified_then_good_after_enough_steps(tmp_path):
    curator = curator_of(tmp_path)
    path = make(tmp_path, 5)
    curator.saved(path)

    assert words(curator.end()) == [(5, State.VERIFIED)]
    assert curator.after_step(14) == []
    assert words(curator.after_step(15)) == [(5, State.GOOD)]
    assert curator.after_step(16) == []
    assert [change.state for change in read_status(path).history] == ["writing", "complete", "verified", "good"]


def test_a_damaged_save_is_bad_with_the_reason(tmp_path):
    curator = curator_of(tmp_path)
    path = make(tmp_path, 5)
    (path / "__0_0.distcp").write_bytes(b"weighty" * 1000)
    curator.saved(path)

    (told,) = curator.end()

    assert told.state is State.BAD
    assert "__0_0.distcp has another SHA-256" in told.problem
    assert read_status(path).state is State.BAD


def test_those_that_the_rules_let_go_are_deleted_and_the_good_one_stays(tmp_path):
    for step in (1, 2, 3):
        set_state(make(tmp_path, step), State.VERIFIED)
    set_state(tmp_path / "step_00000001", State.GOOD)
    curator = curator_of(tmp_path)
    curator.begin()
    curator.saved(make(tmp_path, 4))

    told = curator.end()

    assert words(told) == [(4, State.VERIFIED), (2, None)]
    assert names(tmp_path) == ["step_00000001", "step_00000003", "step_00000004"]


def test_a_start_sweeps_half_written_ones_and_takes_up_what_was_left_undone(tmp_path):
    set_state(make(tmp_path, 1), State.VERIFIED)
    make(tmp_path, 2)
    (tmp_path / "step_00000003.writing-ab" / "rng").mkdir(parents=True)
    (tmp_path / "step_00000000.deleting-ab").mkdir()
    curator = curator_of(tmp_path)

    told = curator.begin()

    assert [(each.step, each.state, each.problem) for each in told] == [(3, None, "it was half-written")]
    assert words(curator.end()) == [(2, State.VERIFIED)]
    assert words(curator.after_step(12)) == [(1, State.GOOD), (2, State.GOOD)]
    assert names(tmp_path) == ["step_00000001", "step_00000002"]


def test_trouble_makes_suspect_what_may_have_come_after_it(tmp_path):
    for step in (5, 8, 9):
        set_state(make(tmp_path, step), State.VERIFIED)
    set_state(tmp_path / "step_00000009", State.BAD)
    curator = curator_of(tmp_path)
    curator.begin()

    told = curator.trouble(8, "loss spike i-7")

    assert [(each.step, each.state, each.problem) for each in told] == [(8, State.SUSPECT, "loss spike i-7")]
    assert words(curator.after_step(30)) == [(5, State.GOOD)]


def test_one_that_a_person_marked_meanwhile_is_left_alone(tmp_path):
    curator = curator_of(tmp_path)
    path = make(tmp_path, 5)
    curator.saved(path)
    set_state(path, State.BAD, why="by hand")

    (told,) = curator.end()

    assert told.state is State.BAD
    assert "can't become verified" in told.problem
    assert curator.after_step(50) == []


def test_an_answer_about_a_directory_that_was_replaced_is_dropped(tmp_path):
    curator = curator_of(tmp_path)
    curator.saved(make(tmp_path, 5))
    curator._verifier._found.put(curator._verifier._found.get())  # it has been read by now
    make(tmp_path, 5, {"x": b"1"})

    assert curator.end() == []
    assert read_status(tmp_path / "step_00000005").state is State.COMPLETE


def test_a_checkpoint_is_never_under_its_name_while_it_is_being_removed(tmp_path):
    path = make(tmp_path, 5)
    condemned = remove(path)
    assert condemned is not None
    assert partial_of(condemned.name) == (5, "deleting")
    assert leftovers(tmp_path) == [condemned]
    assert remove(path) is None

    remover = Remover()
    remover.start(condemned)
    remover.wait()
    assert leftovers(tmp_path) == []


def test_a_new_save_of_the_same_step_takes_the_name_in_one_step(tmp_path):
    make(tmp_path, 5, {"old": b"1"})
    make(tmp_path, 5, {"new": b"2"})
    assert (tmp_path / "step_00000005" / "new").is_file()
    assert [partial_of(path.name) for path in leftovers(tmp_path)] == [(5, "deleting")]


def test_a_pinned_one_is_not_replaced(tmp_path):
    set_pinned(make(tmp_path, 5, {"old": b"1"}), True)
    with pytest.raises(FileExistsError, match="an earlier one of this step is pinned"):
        make(tmp_path, 5, {"new": b"2"})
    assert (tmp_path / "step_00000005" / "old").is_file()
