"""What happens in the middle of a save: the trainer is killed, the disk is full, the writer dies."""

import os
import random
import signal
import subprocess
import time

import pytest
from checkpoint_runs import finish, run, start

from trainer.checkpoints.find import choose_to_resume
from trainer.checkpoints.listing import list_durable, read_latest
from trainer.checkpoints.verify import read_back
from trainer.checkpoints.words import State

pytestmark = pytest.mark.slow

SIZES_BYTES = {"durable": 800_000, "node-local": 450_000}
"""Of one checkpoint of the tiny model, about."""


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_trainer_that_is_killed_in_mid_save_leaves_the_last_whole_one(tmp_path, is_async):
    """The second save is cut while one of its files is being written; its writer ends with the trainer."""
    ops = [["train", 1], ["save", False], ["digest"], ["slow_writer", 0.4], ["train", 1], ["save", is_async]]
    (started,) = start(tmp_path, [*ops, ["train", 50, 0.1]])
    left = random.Random(int(is_async)).randrange(4)
    digest = {}
    for row in started.rows():
        if row.get("op") == "digest":
            digest = row["found"]
        if "writing" in row:
            left -= 1
            if left < 0:
                break
    os.kill(started.process.pid, signal.SIGKILL)
    (found,) = finish([started])
    assert found.exit_code == -signal.SIGKILL

    states = [(each.step, each.status.state) for each in list_durable(tmp_path)]
    assert states == [(1, State.COMPLETE), (2, State.WRITING)]
    assert read_latest(tmp_path) == "step_00000001"
    choice = choose_to_resume([each.candidate() for each in list_durable(tmp_path)])
    assert (choice.chosen.step, [passed.why for passed in choice.passed]) == (1, ["it is half-written"])
    before = _contents(tmp_path)
    time.sleep(1)
    assert _contents(tmp_path) == before, "a writer outlived its trainer"

    (again,) = run(tmp_path, [["load", "step_00000001"], ["digest"]], seed=8)
    assert again.of("digest") == [digest]


def _contents(directory):
    return {path: path.stat().st_size for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_file_that_can_t_grow_fails_the_save_and_training_goes_on(tmp_path, is_async):
    """RLIMIT_FSIZE: the system refuses bytes in the middle of a file, on one of two ranks."""
    ops = [["train", 1], ["save", False], ["limit_file_size", 150_000], ["train", 1], ["save", is_async], ["train", 2]]
    ops += [["wait"], ["limit_file_size", 10**9], ["save", is_async], ["wait"]]
    for rank in run(tmp_path, ops, world=2):
        saved = rank.saved()
        assert [(each["step"], bool(each["path"])) for each in saved] == [(1, True), (2, False), (4, True)]
        assert "rank 0: __0_0.distcp can't be written (File too large)" in saved[1]["problem"]
        assert len(rank.of("train")[-1]["losses"]) == 4

    assert [(each.step, each.problem) for each in list_durable(tmp_path)] == [(1, ""), (4, "")]
    assert read_latest(tmp_path) == "step_00000004"


@pytest.fixture
def small_disk(tmp_path, tier):
    """A tmpfs that holds one checkpoint of the tier and a half."""
    if os.geteuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("CI must be root to mount a small tmpfs")
        pytest.skip("only root can mount a small tmpfs")
    where = tmp_path / "disk"
    where.mkdir()
    size = f"size={SIZES_BYTES[tier] * 3 // 2}"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", where], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        if os.environ.get("CI") == "true":
            pytest.fail(mounted.stderr)
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


@pytest.mark.parametrize("tier", ["durable", "node-local"])
def test_a_full_disk_loses_nothing(small_disk, tier):
    """The second checkpoint does not fit; the first is as it was, and space that was taken is given back."""
    if tier == "durable":
        ops = [["train", 1], ["save", True], ["wait"], ["train", 1], ["save", True], ["train", 1], ["wait"]]
        ops += [["load", "step_00000001"]]
    else:
        ops = [["train", 1], ["local_put"], ["train", 1], ["local_put"], ["local_steps"], ["local_load", 1]]
    (rank,) = run(small_disk, ops)

    saved = rank.saved() if tier == "durable" else rank.of("local_put")
    assert [(each["step"], bool(each["path"])) for each in saved] == [(1, True), (2, False)]
    assert "No space left on device" in saved[1]["problem"]
    assert (rank.of("load") or rank.of("local_load")) == [{"step": 1}]
    free = os.statvfs(small_disk)
    assert free.f_bavail * free.f_frsize > SIZES_BYTES[tier] // 3
    if tier == "durable":
        assert [read_back(each.path).problem for each in list_durable(small_disk)] == [""]


def test_a_writer_that_is_killed_fails_the_save_on_all_ranks(tmp_path):
    """As when the system is out of memory; the trainer learns of it at a later step and goes on."""
    ops = [["slow_writer", 0.5], ["train", 1], ["save", True], ["kill_writer"], ["train", 2], ["wait"], ["train", 1]]
    for rank in run(tmp_path, ops, world=2):
        (saved,) = rank.saved()
        assert saved["path"] is None
        assert "rank 1: its writer was ended by signal 9" in saved["problem"]
        assert len(rank.of("train")[-1]["losses"]) == 4
    assert list_durable(tmp_path) == []


def test_a_scheduler_s_warning_does_not_cut_a_save(tmp_path):
    """SIGTERM goes to every process of a job; the trainer ends after its save, so the writer must not heed it."""
    ops = [["slow_writer", 0.3], ["train", 1], ["save", True], ["signal_writer", signal.SIGTERM], ["wait"]]
    (rank,) = run(tmp_path, ops)
    assert [each["problem"] for each in rank.saved()] == [""]


def test_one_save_at_a_time(tmp_path):
    ops = [["slow_writer", 0.2], ["train", 1], ["save", True], ["train", 1], ["save", True], ["wait"]]
    (rank,) = run(tmp_path, ops)
    assert [(each["step"], each["problem"]) for each in rank.saved()] == [(1, ""), (2, "")]
    assert [read_back(each.path).problem for each in list_durable(tmp_path)] == ["", ""]
