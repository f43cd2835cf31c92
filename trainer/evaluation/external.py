"""Runs the plan's evaluation command for each verified checkpoint, beside the training and never in its way.

One at a time, in a process group of its own with a log of its own; what came of it is a record. A command that fails
is told, and changes nothing else. One that runs when its trainer is killed runs on to its own end.
"""

import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trainer import codes
from trainer.evaluation.command import words_of
from trainer.metrics.record import CheckpointChanged, CommandEnded, Record, RunEnds, StepDone

MOST_WAITING = 16
"""Checkpoints that wait for their turn; of more, the oldest is left out, and that is told."""
GRACE_SECONDS = 10.0
"""Between SIGTERM and SIGKILL, where the training ends before a command does."""
LAST_SECONDS = 600.0
"""For those that run and wait where the training is done: the last checkpoint's evaluation is the one that counts."""
NICENESS = 10
"""Training comes first."""
_POLL_SECONDS = 0.05
_OF_RANKS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT")
"""Not passed on: a command that uses torch must not take itself for a rank of the training."""


@dataclass(slots=True, kw_only=True)
class _Running:
    step: int
    checkpoint: Path
    log: Path
    began: float
    process: "subprocess.Popen[bytes]"


class Commands:
    """Of one run, on rank 0. A sink of records: it hears of checkpoints, and looks after its process at each step."""

    name = "the evaluation command's log"

    def __init__(self, command: str, logs: Path, told: Callable[[CommandEnded], None]) -> None:
        """`logs`: directory of a file for each command. Raises `UsageError` for a command that can't be split."""
        words_of(command, checkpoint=Path("checkpoint"), step=0)
        self._command = command
        self._logs = logs
        self._told = told
        self._waiting: deque[tuple[int, Path]] = deque()
        self._running: _Running | None = None

    def write(self, record: Record) -> None:
        """A checkpoint that is verified gets its turn; at each step it is seen what has ended."""
        match record:
            case CheckpointChanged(tier="durable", state="verified"):
                self.submit(record.step, Path(record.path))
            case StepDone():
                self.poll()
            case RunEnds(code=codes.DONE):
                self.finish(LAST_SECONDS)

    def submit(self, step: int, checkpoint: Path) -> None:
        """Run the command for it, now or after the others."""
        self._waiting.append((step, checkpoint))
        if len(self._waiting) > MOST_WAITING:
            self._leave_out(*self._waiting.popleft(), f"left out: {MOST_WAITING} newer checkpoints wait")
        self.poll()

    def poll(self) -> None:
        """See whether the command has ended, and start the next one. Doesn't block."""
        if self._running and self._running.process.poll() is not None:
            self._end()
        while self._waiting and not self._running:
            self._start(*self._waiting.popleft())

    def finish(self, seconds: float) -> None:
        """Wait so long for all that run and wait; then as `close`."""
        deadline = time.monotonic() + seconds
        self.poll()
        while self._running and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            self.poll()
        self.close()

    def close(self) -> None:
        """End the one that runs, with its whole process group; the others are told as left out."""
        waiting, self._waiting = self._waiting, deque()
        for step, checkpoint in waiting:
            self._leave_out(step, checkpoint, "left out: the training ended before its turn")
        if self._running:
            process = self._running.process
            _signal(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
            # also what it started and left behind
            _signal(process, signal.SIGKILL)
            process.wait()
            self._end()

    def _start(self, step: int, checkpoint: Path) -> None:
        if not checkpoint.is_dir():
            self._leave_out(step, checkpoint, "left out: the checkpoint is no longer there")
            return
        log = self._logs / f"step_{step:09d}.log"
        words = words_of(self._command, checkpoint=checkpoint, step=step)
        try:
            process = _spawn(words, log)
        except OSError as error:
            self._leave_out(step, checkpoint, f"{words[0]!r} can't be run: {error.strerror or error}")
            return
        self._running = _Running(step=step, checkpoint=checkpoint, log=log, began=time.monotonic(), process=process)

    def _end(self) -> None:
        running, self._running = self._running, None
        assert running is not None
        self._told(
            CommandEnded(
                at=time.time(),
                step=running.step,
                checkpoint=str(running.checkpoint),
                code=running.process.returncode,
                seconds=time.monotonic() - running.began,
                log=str(running.log),
            )
        )

    def _leave_out(self, step: int, checkpoint: Path, why: str) -> None:
        self._told(CommandEnded(at=time.time(), step=step, checkpoint=str(checkpoint), code=None, problem=why))


def _spawn(words: list[str], log: Path) -> "subprocess.Popen[bytes]":
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if name not in _OF_RANKS}
    with log.open("ab") as output:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    with suppress(OSError):  # it may have ended already
        os.setpriority(os.PRIO_PGRP, process.pid, NICENESS)
    return process


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
