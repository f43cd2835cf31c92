"""Starts the ranks of `checkpoint_ranks` and gives what each op found. Ranks are forked from a process that has
imported torch and Megatron-core once: the tests start dozens."""

import json
import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from checkpoint_ranks import main

HERE = Path(__file__).parent
DEADLINE_SECONDS = 120
_SERVER: list[bool] = []
"""Whether the fork server runs; empty: not yet."""


@dataclass
class Found:
    """Of one rank."""

    rows: list[dict[str, Any]]
    exit_code: int | None
    errors: str

    def of(self, op: str) -> list[Any]:
        """What each `op` found, in order."""
        return [row["found"] for row in self.rows if row.get("op") == op]

    def saved(self) -> list[dict[str, Any]]:
        """Saves that ended, whichever op they ended in."""
        rows = [row for row in self.rows if row.get("op") in ("save", "train", "poll", "wait")]
        lists = (row["found"]["saved"] if row["op"] == "train" else row["found"] for row in rows)
        return [saved for each in lists for saved in each]


@dataclass
class Started:
    """One rank's process, and what it says."""

    process: ForkServerProcess
    answers: Connection
    errors: Path

    def rows(self) -> Iterator[dict[str, Any]]:
        """As they come, until nobody holds the other end: neither the rank nor a process that it left behind."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.answers.poll(max(0.0, deadline - time.monotonic())):
            try:
                yield json.loads(self.answers.recv_bytes())
            except EOFError:
                return
        raise AssertionError(f"no word for {DEADLINE_SECONDS} s: {self.errors.read_text()[-3000:]}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    if not _SERVER:
        # it reads its environment when it starts, and swallows an ImportError of what it is to preload
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OMP_NUM_THREADS", "1")
            patch.setenv("PYTHONPATH", f"{HERE}:{HERE.parents[1]}")
            context.set_forkserver_preload(["checkpoint_preload"])
            forkserver.ensure_running()
        _SERVER.append(True)
    return context


def start(directory: Path, ops: list[list[Any]], *, world: int = 1, **given: Any) -> list[Started]:
    """The ranks' processes."""
    context = _context()
    port, started = free_port(), []
    for rank in range(world):
        answers, other_end = context.Pipe(duplex=False)
        handle, name = tempfile.mkstemp(suffix=".err")
        os.close(handle)
        whole = {"rank": rank, "world": world, "port": port, "directory": str(directory), "ops": ops} | given
        process = context.Process(target=main, args=(whole, other_end, name))
        process.start()
        other_end.close()
        started.append(Started(process, answers, Path(name)))
    return started


def finish(started: list[Started]) -> list[Found]:
    """Wait for all of them."""
    found = []
    try:
        for each in started:
            rows = list(each.rows())
            each.process.join(DEADLINE_SECONDS)
            found.append(Found(rows=rows, exit_code=each.process.exitcode, errors=each.errors.read_text()))
    finally:
        for each in started:
            each.process.kill()
            each.process.join()
            each.process.close()
            each.answers.close()
            each.errors.unlink()
    return found


def run(directory: Path, ops: list[list[Any]], *, world: int = 1, **given: Any) -> list[Found]:
    """What each rank found; all must have ended well."""
    found = finish(start(directory, ops, world=world, **given))
    for each in found:
        assert each.exit_code == 0, each.errors[-3000:]
    return found
