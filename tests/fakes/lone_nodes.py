"""Nodes in process trees of their own, so that each can be stopped, killed or run in another network."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import lone_node
import psutil

from fryer.collectives.roll import Patience
from fryer.exchange import decode, encode
from fryer.fleet.orders import Collect, Collected


@dataclass
class LoneNode:
    """A node in a process tree of its own."""

    process: subprocess.Popen[str]

    def rank(self) -> psutil.Process:
        """Its rank: what works hard and starts nothing. Its warden sleeps, its fork server has children."""
        while True:
            family = psutil.Process(self.process.pid).children(recursive=True)
            leaves = [process for process in family if not process.children()]
            hardest = max(leaves, key=lambda process: process.cpu_times().user)
            if hardest.cpu_times().user > 0.5:
                return hardest
            time.sleep(0.1)

    def wait_for(self, word: str) -> None:
        assert self.process.stderr is not None
        assert any(word in line for line in self.process.stderr)

    def kill(self) -> None:
        family = psutil.Process(self.process.pid).children(recursive=True)
        for process in [self.process, *family]:
            process.kill()

    def answer(self) -> Collected:
        out, _ = self.process.communicate(timeout=60)
        return decode(Collected, json.loads(out))


@contextmanager
def lone(what: Collect, patience: Patience, name: str, inside: Sequence[str] = ()) -> Iterator[LoneNode]:
    """Take part in `what`, behind the words `inside` that run it elsewhere."""
    process = subprocess.Popen(
        [*inside, sys.executable, lone_node.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"order": encode(what), "node": name, "patience": encode(patience)}))
    process.stdin.close()
    process.stdin = None
    with process:
        yield LoneNode(process)
