"""Real signals to real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trainer import codes
from trainer.stop import SAME_REQUEST_SECONDS, STOPS

LISTENING = """
import ctypes, os, signal, sys, time
from trainer.stop import Stop

def say(line):
    print(line, flush=True)

stop = Stop(say)
say("ready")
"""

GOES_ON = (
    LISTENING
    + """
while stop.signal is None:
    time.sleep(0.01)
time.sleep(float(sys.argv[1]))
say(f"saved after {stop.signal.name}")
"""
)

HANGS = (
    LISTENING
    + """
# a mutex that its own holder waits for: no signal and no exception of Python gets it out of there
mutex = ctypes.create_string_buffer(64)
lock = ctypes.CDLL(None).pthread_mutex_lock
lock(mutex)
lock(mutex)
"""
)

FORKS = (
    LISTENING
    + """
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
os.kill(child, signal.SIGTERM)
_, status = os.waitpid(child, 0)
say(f"child ended by {os.WTERMSIG(status)}, told {stop.signal}")
"""
)


@contextmanager
def running(program: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Once it listens."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert line_of(process) == "ready"
        yield process
    finally:
        process.kill()
        process.communicate()


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("number", STOPS)
def test_the_first_signal_is_heard_and_ends_nothing_by_itself(number: signal.Signals) -> None:
    with running(GOES_ON, "0") as process:
        process.send_signal(number)
        assert line_of(process) == (
            f"{number.name}: this step is ended and saved first; once more ends at once, without a save"
        )
        assert line_of(process) == f"saved after {number.name}"
        assert process.wait(30) == codes.DONE


@pytest.mark.parametrize("number", STOPS)
def test_the_second_one_ends_a_rank_that_hangs_outside_of_python(number: signal.Signals) -> None:
    with running(HANGS) as process:
        process.send_signal(number)
        assert line_of(process).startswith(number.name)
        time.sleep(SAME_REQUEST_SECONDS)
        process.send_signal(number)
        assert process.wait(30) == codes.after_signal(number)


def test_the_second_one_may_be_another() -> None:
    with running(GOES_ON, "60") as process:
        process.send_signal(signal.SIGUSR1)
        assert line_of(process).startswith("SIGUSR1")
        time.sleep(SAME_REQUEST_SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == codes.after_signal(signal.SIGTERM)


def test_one_request_that_two_senders_deliver_is_one() -> None:
    """Slurm sends to each process of a job; torchrun and the launcher got it too, and pass it on."""
    with running(GOES_ON, "0.5") as process:
        for _ in range(3):
            process.send_signal(signal.SIGTERM)
        assert line_of(process).startswith("SIGTERM")
        assert line_of(process) == "saved after SIGTERM"
        assert process.wait(30) == codes.DONE


def test_a_forked_process_is_no_rank_and_its_signals_are_its_own() -> None:
    with running(FORKS) as process:
        assert line_of(process) == f"child ended by {signal.SIGTERM.value}, told None"
        assert process.wait(30) == codes.DONE
