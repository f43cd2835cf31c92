import random

import pytest
from checkpoint_files import make

from trainer.checkpoints.listing import list_durable, lost_latest, read_latest
from trainer.checkpoints.states import set_state
from trainer.checkpoints.verify import Verifier, read_back
from trainer.checkpoints.words import State
from watchdog.vocabulary.errors import UsageError


def test_whole_and_half_written_ones_are_told_apart(tmp_path):
    make(tmp_path, 4)
    set_state(make(tmp_path, 12), State.BAD)
    (tmp_path / "step_00000013.writing-ab").mkdir()
    (tmp_path / "step_00000001.deleting-ab").mkdir()
    (tmp_path / "notes").mkdir()

    found = list_durable(tmp_path)

    assert [(each.step, each.status.state, each.problem) for each in found] == [
        (4, State.COMPLETE, ""),
        (12, State.BAD, ""),
        (13, State.WRITING, "it is half-written"),
    ]
    assert read_latest(tmp_path) == "step_00000012"
    assert lost_latest(tmp_path, found) is None


def test_no_directory_is_no_checkpoint_and_a_file_in_its_place_is_an_error(tmp_path):
    assert list_durable(tmp_path / "none") == []
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="can't be listed"):
        list_durable(tmp_path / "file")


def test_a_checkpoint_that_the_pointer_names_and_that_is_gone_is_missed(tmp_path):
    make(tmp_path, 4)
    make(tmp_path, 9).rename(tmp_path / "elsewhere")
    lost = lost_latest(tmp_path, list_durable(tmp_path))
    assert lost is not None
    assert (lost.step, lost.problem) == (9, f"{tmp_path / 'latest'} names it and it isn't there")


def test_another_step_under_a_name_is_found(tmp_path):
    make(tmp_path, 4).rename(tmp_path / "step_00000005")
    assert list_durable(tmp_path)[0].problem == "its manifest is of step 4"


@pytest.mark.parametrize("seed", range(40))
def test_any_truncation_or_flipped_bit_in_any_file_is_found_by_reading_back(tmp_path, seed):
    path = make(tmp_path, 4)
    assert read_back(path).problem == ""
    choose = random.Random(seed)
    files = sorted(
        file for file in path.rglob("*") if file.is_file() and file.name not in ("state.json", ".state.lock")
    )
    file = choose.choice(files)
    content = bytearray(file.read_bytes())
    place = choose.randrange(len(content))
    if choose.random() < 0.3:
        del content[place:]
    else:
        content[place] ^= 1 << choose.randrange(8)
    file.write_bytes(content)
    assert read_back(path).problem


def test_the_background_verifier_tells_each_one_once(tmp_path):
    paths = [make(tmp_path, step) for step in (1, 2)]
    (paths[1] / "__0_0.distcp").write_bytes(b"")
    verifier = Verifier()
    for path in paths:
        verifier.start(path)

    found = verifier.wait()

    assert [(each.path, each.problem) for each in found] == [
        (paths[0], ""),
        (paths[1], "__0_0.distcp has 0 bytes and had 7000 when it was written"),
    ]
    assert verifier.poll() == []
    assert not verifier.is_busy
