import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainer.data.files import making_directory, one_maker, write_whole

MAKER = """
import sys, time
from pathlib import Path
from trainer.data.files import making_directory, one_maker
directory, log = Path(sys.argv[1]), Path(sys.argv[2])
target = directory / "made"
with one_maker(directory, target.is_dir, is_first=sys.argv[3] == "first"):
    if not target.is_dir():
        with making_directory(target) as beside:
            (beside / "file").write_text("x")
            time.sleep(0.3)
            with log.open("a") as file:
                file.write(sys.argv[3] + "\\n")
assert (target / "file").read_text() == "x"
"""


def start(directory: Path, who: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", MAKER, directory, directory / "log", who])


def test_of_many_processes_one_makes_and_the_others_wait(tmp_path: Path) -> None:
    makers = [start(tmp_path, "other") for _ in range(2)] + [start(tmp_path, "first") for _ in range(2)]
    assert [maker.wait(60) for maker in makers] == [0] * 4
    assert (tmp_path / "log").read_text() == "first\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "log", "made"]


def test_a_lock_ends_with_its_holder(tmp_path: Path) -> None:
    holder = start(tmp_path, "first")
    give_up = time.monotonic() + 30
    while not list(tmp_path.glob("made.making-*")):
        assert time.monotonic() < give_up
        time.sleep(0.01)
    holder.kill()
    holder.wait()
    with one_maker(tmp_path, lambda: False, is_first=True), making_directory(tmp_path / "made") as beside:
        (beside / "file").write_text("y")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "made"]
    assert (tmp_path / "made" / "file").read_text() == "y"


def test_nothing_is_left_of_a_directory_that_could_not_be_made(tmp_path: Path) -> None:
    def fail() -> None:
        with making_directory(tmp_path / "made") as beside:
            (beside / "file").write_text("x")
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_the_first_of_two_directories_stays(tmp_path: Path) -> None:
    """Of two nodes whose locks don't reach each other."""
    with making_directory(tmp_path / "made") as beside:
        (beside / "file").write_text("second")
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "file").write_text("first")
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    assert (tmp_path / "made" / "file").read_text() == "first"


def test_a_maker_that_still_runs_is_left_alone(tmp_path: Path) -> None:
    with making_directory(tmp_path / "made") as one:
        (one / "file").write_text("x")
        parent = one.with_name(one.name.replace(str(os.getpid()), str(os.getppid())))
        parent.mkdir()
        with making_directory(tmp_path / "made2"):
            pass
        assert one.is_dir()
        assert parent.is_dir()


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_whole(tmp_path / "deep" / "file", b"one")
    write_whole(tmp_path / "deep" / "file", b"two")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]
    assert (tmp_path / "deep" / "file").read_bytes() == b"two"
