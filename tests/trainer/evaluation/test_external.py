"""Real commands beside a training that isn't there."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from trainer_records import ENDED, SAVED, step

from trainer.evaluation import external
from trainer.evaluation.external import MOST_WAITING, Commands
from trainer.metrics.record import CheckpointChanged, CommandEnded


class Bench:
    """Checkpoints that are empty directories, and what was told of commands for them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.told: list[CommandEnded] = []
        self.opened: list[Commands] = []

    def commands(self, command: str) -> Commands:
        self.opened.append(Commands(command, self.home / "logs", self.told.append))
        return self.opened[-1]

    def checkpoint(self, number: int) -> Path:
        path = self.home / f"step {number}"
        path.mkdir()
        return path

    def log(self, number: int) -> str:
        return (self.home / "logs" / f"step_{number:09d}.log").read_text()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    for commands in found.opened:
        commands.close()


def until(happened: Callable[[], object]) -> None:
    give_up = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False


def test_it_runs_once_for_each_verified_checkpoint_and_its_end_is_told(bench: Bench) -> None:
    commands = bench.commands(f"{sys.executable} -c 'import sys; print(sys.argv[1:])' {{checkpoint}} {{step}}")
    path = bench.checkpoint(5)
    for state in ("complete", "verified", "good"):
        commands.write(replace(SAVED, state=state, path=str(path)))
    commands.finish(60)
    (told,) = bench.told
    assert (told.step, told.checkpoint, told.code, told.problem) == (5, str(path), 0, "")
    assert told.seconds > 0
    assert bench.log(5) == f"[{str(path)!r}, '5']\n"
    assert told.log == str(bench.home / "logs" / "step_000000005.log")


def test_checkpoints_of_other_tiers_are_not_evaluated(bench: Bench) -> None:
    commands = bench.commands("true")
    commands.write(
        CheckpointChanged(at=1.0, step=5, state="verified", tier="node-local", path=str(bench.checkpoint(5)))
    )
    commands.finish(60)
    assert bench.told == []


def test_training_goes_on_while_a_command_runs_and_hears_of_its_end_at_a_step(bench: Bench) -> None:
    commands = bench.commands(f"sh -c 'while [ ! -e {bench.home}/go ]; do sleep 0.01; done; exit 3'")
    commands.submit(5, bench.checkpoint(5))
    commands.write(step(6))
    assert bench.told == []
    (bench.home / "go").touch()
    until(lambda: commands.write(step(7)) or bench.told)
    assert [told.code for told in bench.told] == [3]


def test_one_runs_at_a_time_and_the_others_wait(bench: Bench) -> None:
    commands = bench.commands(
        f"sh -c 'ls {bench.home}/lock && exit 9; touch {bench.home}/lock; sleep 0.1; rm {bench.home}/lock'"
    )
    for number in range(1, 4):
        commands.submit(number, bench.checkpoint(number))
    commands.finish(60)
    assert [(told.step, told.code) for told in bench.told] == [(1, 0), (2, 0), (3, 0)]


def test_of_too_many_that_wait_the_oldest_is_left_out_and_told(bench: Bench) -> None:
    commands = bench.commands("sleep 60")
    for number in range(1, MOST_WAITING + 3):
        commands.submit(number, bench.checkpoint(number))
    assert [(told.step, told.code, told.problem) for told in bench.told] == [
        (2, None, f"left out: {MOST_WAITING} newer checkpoints wait")
    ]


def test_a_program_that_does_not_exist_is_told_and_the_next_one_has_its_turn(bench: Bench) -> None:
    commands = bench.commands("no-such-program-here {step}")
    commands.submit(5, bench.checkpoint(5))
    commands.submit(6, bench.checkpoint(6))
    problem = "'no-such-program-here' can't be run: No such file or directory"
    assert [(told.step, told.code, told.problem) for told in bench.told] == [(5, None, problem), (6, None, problem)]


def test_a_checkpoint_that_was_removed_meanwhile_is_told(bench: Bench) -> None:
    commands = bench.commands("true")
    commands.submit(5, bench.home / "gone")
    assert [told.problem for told in bench.told] == ["left out: the checkpoint is no longer there"]


def test_a_command_does_not_take_itself_for_a_rank(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("MASTER_PORT", "1234")
    monkeypatch.setenv("OF_THE_USER", "kept")
    commands = bench.commands("env")
    commands.submit(5, bench.checkpoint(5))
    commands.finish(60)
    names = {line.split("=")[0] for line in bench.log(5).splitlines()}
    assert "OF_THE_USER" in names
    assert names.isdisjoint({"RANK", "MASTER_PORT"})


def test_at_the_end_it_is_asked_to_end_and_the_others_are_left_out(bench: Bench) -> None:
    commands = bench.commands("sh -c 'trap \"echo asked; exit 7\" TERM; echo up; while :; do sleep 0.01; done'")
    commands.submit(5, bench.checkpoint(5))
    commands.submit(6, bench.checkpoint(6))
    until(lambda: "up" in bench.log(5))
    commands.close()
    assert [(told.step, told.code, told.problem) for told in bench.told] == [
        (6, None, "left out: the training ended before its turn"),
        (5, 7, ""),
    ]
    assert bench.log(5).splitlines()[-1] == "asked"


def test_one_that_does_not_listen_is_killed_with_all_that_it_started(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external, "GRACE_SECONDS", 0.1)
    commands = bench.commands("sh -c 'trap \"\" TERM; sleep 60 & echo $!; wait'")
    commands.submit(5, bench.checkpoint(5))
    until(lambda: bench.log(5).endswith("\n"))
    child = int(bench.log(5))
    assert is_running(child)
    commands.close()
    assert [told.code for told in bench.told] == [-signal.SIGKILL]
    until(lambda: not is_running(child))


def test_where_the_training_is_done_the_last_ones_are_waited_for(bench: Bench) -> None:
    commands = bench.commands("sh -c 'sleep 0.2; exit 4'")
    commands.submit(5, bench.checkpoint(5))
    commands.submit(6, bench.checkpoint(6))
    commands.write(ENDED)
    assert [(told.step, told.code) for told in bench.told] == [(5, 4), (6, 4)]


def test_it_gives_way_to_the_training(bench: Bench) -> None:
    commands = bench.commands(f"{sys.executable} -c 'import os, time; time.sleep(0.3); print(os.nice(0))'")
    commands.submit(5, bench.checkpoint(5))
    commands.finish(60)
    assert int(bench.log(5)) == min(19, os.nice(0) + external.NICENESS)
