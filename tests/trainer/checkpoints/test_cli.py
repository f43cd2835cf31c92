import json
import subprocess
import sys
from pathlib import Path

import pytest
from checkpoint_files import make
from typer.testing import CliRunner

from trainer.checkpoints.states import read_status, set_state
from trainer.checkpoints.words import State
from trainer.cli.checkpoints import app
from watchdog.vocabulary.errors import UsageError


def call(*arguments):
    """Exit code and stdout; an error that `fryer` would show is raised."""
    found = CliRunner().invoke(app, [str(each) for each in arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.exit_code, found.stdout


def document(*arguments):
    code, out = call(*arguments, "--json")
    return code, json.loads(out)


@pytest.fixture
def run_directory(tmp_path):
    for step in (5, 9):
        make(tmp_path / "checkpoints", step)
    return tmp_path


def test_list_shows_a_row_for_each_of_a_run(run_directory):
    set_state(run_directory / "checkpoints" / "step_00000005", State.BAD, why="loss was wrong")
    (run_directory / "checkpoints" / "step_00000010.writing-ab").mkdir()

    code, out = call("list", run_directory)
    rows = [line.split() for line in out.splitlines()]
    assert code == 0
    assert rows[0] == ["step", "stage", "tokens", "size", "state", "taken", "note"]
    assert rows[1][0] == "5"
    assert "loss was wrong" in out
    assert rows[2][0] == "9"
    assert rows[2][-1] == "latest"
    assert rows[3] == ["10", "-", "-", "-", "writing", "-", "it", "is", "half-written"]

    code, found = document("list", run_directory / "checkpoints")
    assert code == 0
    assert (found["schema"], found["version"]) == ("fryer/checkpoints", 1)
    assert [(row["step"], row["state"], row["latest"], row["problem"]) for row in found["checkpoints"]] == [
        (5, "bad", False, None),
        (9, "complete", True, None),
        (10, "writing", False, "it is half-written"),
    ]
    assert found["checkpoints"][0]["history"][-1]["why"] == "loss was wrong"


def test_list_of_a_damaged_one_exits_1(run_directory):
    (run_directory / "checkpoints" / "step_00000005" / ".metadata").unlink()
    code, out = call("list", run_directory)
    assert code == 1
    assert ".metadata can't be read (No such file or directory)" in out


def test_verify_marks_what_it_finds(run_directory):
    directory = run_directory / "checkpoints"
    (directory / "step_00000009" / "__0_0.distcp").write_bytes(b"weighty" * 1000)

    code, found = document("verify", run_directory)

    assert code == 1
    assert [(row["step"], row["state"]) for row in found["checkpoints"]] == [(5, "verified"), (9, "bad")]
    assert read_status(directory / "step_00000005").state is State.VERIFIED
    assert read_status(directory / "step_00000009").state is State.BAD
    assert call("verify", run_directory, "--step", 5) == (0, "step 5: every hash agrees; it is verified\n")


def test_verify_leaves_a_good_one_good(run_directory):
    path = run_directory / "checkpoints" / "step_00000005"
    set_state(path, State.VERIFIED)
    set_state(path, State.GOOD)
    assert call("verify", run_directory, "--step", 5) == (0, "step 5: every hash agrees; it is good\n")


def test_pins_and_marks_are_kept_with_their_reasons(run_directory):
    path = run_directory / "checkpoints" / "step_00000005"
    assert call("pin", run_directory, 5, "--why", "for the paper") == (0, "step 5 is complete and pinned\n")
    assert call("unpin", run_directory, 5) == (0, "step 5 is complete\n")
    assert call("mark-bad", run_directory, 5, "--why", "wrong loss") == (0, "step 5 is bad\n")
    assert call("mark-bad", run_directory, 5, "--undo") == (0, "step 5 is complete\n")
    assert [change.why for change in read_status(path).history[-4:]] == [
        "for the paper",
        "unpinned",
        "wrong loss",
        "taken back",
    ]


def test_a_mark_that_can_t_be_taken_back_exits_1(run_directory):
    set_state(run_directory / "checkpoints" / "step_00000005", State.VERIFIED)
    assert call("mark-bad", run_directory, 5, "--undo")[0] == 1


def test_a_step_that_is_not_there_is_answered_with_those_that_are(run_directory):
    with pytest.raises(UsageError, match="no whole checkpoint of step 7; there are: 5, 9"):
        call("pin", run_directory, 7)
    with pytest.raises(UsageError, match="is no directory"):
        call("list", run_directory / "nowhere")


def test_a_plan_stands_for_its_run(tmp_path, monkeypatch):
    plan = Path(__file__).parents[3] / "plans" / "smoke.toml"
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "runs" / "smoke" / "checkpoints", 5)
    code, found = document("list", plan)
    assert (code, [row["step"] for row in found["checkpoints"]]) == (0, [5])


def test_all_but_export_load_no_torch(run_directory):
    """A person asks on a login node, where torch may be slow to load or missing."""
    program = (
        "import sys; from typer.testing import CliRunner; from trainer.cli.checkpoints import app\n"
        f"for words in (['list', {str(run_directory)!r}], ['verify', {str(run_directory)!r}], "
        f"['pin', {str(run_directory)!r}, '5']):\n"
        "    assert CliRunner().invoke(app, words).exit_code == 0\n"
        "assert 'torch' not in sys.modules and 'megatron' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_help_of_each_command_has_examples_and_exit_codes():
    for command in ("list", "verify", "pin", "unpin", "mark-bad", "export"):
        out = call(command, "--help")[1]
        assert f"fryer checkpoints {command} " in out
        assert "Exit codes: 0 " in out
