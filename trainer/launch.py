"""Starts the ranks of a training on this node, passes signals on to them, and says how they ended.

Over several nodes torchrun or srun start the ranks; then this isn't used.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from trainer import codes
from trainer.options import Options

GRACE_SECONDS = 20.0
"""For ranks to end by themselves after one has failed: they wait in a collective that its end breaks."""
_POLL_SECONDS = 0.1
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


def launch(options: Options, num_ranks: int) -> int:
    """Run all ranks to their end: the code of the one that ended first in a way that isn't the others' doing."""
    port = _free_port()
    ranks = [_start(options, rank, num_ranks, port) for rank in range(num_ranks)]
    with _passing_on(ranks):
        return _wait(ranks)


def _start(options: Options, rank: int, num_ranks: int, port: int) -> "subprocess.Popen[bytes]":
    environment = os.environ | {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(num_ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    # more ranks than processors would otherwise wait for each other's threads
    environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // num_ranks)))
    command = [sys.executable, "-m", "trainer.rank", options.to_text(), str(os.getpid())]
    # a session of its own: a terminal's Ctrl-C reaches it through us only, once
    return subprocess.Popen(command, env=environment, start_new_session=True)


@contextmanager
def _passing_on(ranks: Sequence["subprocess.Popen[bytes]"]) -> Iterator[None]:
    def pass_on(number: int, _: FrameType | None) -> None:
        for process in ranks:
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in PASSED_ON}
    try:
        yield
    finally:
        for process in ranks:
            if process.poll() is None:
                process.kill()
                process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(ranks: Sequence["subprocess.Popen[bytes]"]) -> int:
    first: int | None = None
    give_up = float("inf")
    while True:
        ended = [process.poll() for process in ranks]
        failed = [code for code in ended if code]
        if first is None and failed:
            first = failed[0]
            give_up = time.monotonic() + GRACE_SECONDS
        if None not in ended or time.monotonic() > give_up:
            return _as_code(first)
        time.sleep(_POLL_SECONDS)


def _as_code(returned: int | None) -> int:
    """Of `Popen`: negative for a signal."""
    if returned is None:
        return codes.DONE
    return codes.after_signal(-returned) if returned < 0 else returned


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
