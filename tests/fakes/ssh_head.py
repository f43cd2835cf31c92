"""The SSH launcher in the network of the hosts' head: orders go in, and what it receives comes back as JSON."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
from network_hosts import NetworkHosts

from fryer.platform import versions

HEAD = Path(__file__).with_name("head.py")
FRYER = versions()["fryer"]
SHORT = {"connect_seconds": 3.0, "hello_seconds": 60.0}
"""A lost connection shows within 3 s; a Hello may come from a busy machine."""


class Head:
    """A launcher in the head's network."""

    def __init__(
        self, hosts: NetworkHosts, *nodes: str, environment: Mapping[str, str] | None = None, **settings: object
    ) -> None:
        words = {"nodes": nodes, "fryer": FRYER, "ssh_options": hosts.ssh_options, "contact": SHORT, **settings}
        self.process = subprocess.Popen(
            [*hosts.inside("fh0"), sys.executable, str(HEAD), json.dumps(words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line)

    def say(self, words: object) -> None:
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def listen(self, until: Callable[[list[dict[str, Any]]], bool], seconds: float = 90.0) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + seconds
        while not until(found):
            try:
                found.append(json.loads(self._lines.get(timeout=max(0.1, deadline - time.monotonic()))))
            except queue.Empty:
                pytest.fail(f"waited in vain; came: {found}")
        return found

    def wait(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """The messages of a kind, once there are `count`."""
        found = self.listen(lambda came: sum(one["type"] == kind for one in came) >= count)
        return [one for one in found if one["type"] == kind]

    def burn(self) -> None:
        """Order a long burn, and wait until it is under way on some node."""
        self.say({"qualify": "q1"})
        self.listen(lambda came: any(one["type"] == "Progress" and one["what"] == "gemm" for one in came))


def wait_until_gone(hosts: NetworkHosts, name: str, seconds: float = 20.0) -> None:
    """Until a host runs nothing of ours: its sshd alone is left."""
    deadline = time.monotonic() + seconds
    while left := [p for p in hosts.processes(name) if p.name() not in ("tini", "sshd", "sshd-session")]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
