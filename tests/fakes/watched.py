"""A real ``fryer watch`` in a process of its own, to be drilled: started, asked, killed, and its store looked into."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FRYER = str(Path(sys.executable).with_name("fryer"))
IS_LONG = os.environ.get("FRYER_DRILL") == "1"
"""The long version of each drill, with its figures."""

HEALTHY = """
description = "Healthy GPUs"
seed = 7
speed = 1.0
[fleet]
nodes = "node001"
part = "H100-SXM5-80GB"
gpus_per_node = 8
noise = 0.01
"""


def wait_until(what: str, look: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What `look` returns once it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds:g} s")


class NoAnswerError(Exception):
    """The daemon did not answer: it is down, or hangs."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass
class Watched:
    """One place with a state, a socket and a kernel log, over which daemons come and go."""

    folder: Path
    scenario: str = HEALTHY
    """Text of a scenario; empty: the real machine."""
    kmsg: Path | None = None
    """None: a file `kmsg` in the folder."""
    config: str = ""
    before: Sequence[str] = ()
    """What runs it: ``setpriv ...``."""
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    user: int | None = None
    """Whom the folder belongs to."""
    started_seconds: list[float] = field(default_factory=list)
    """From each start to the first answer."""

    def __post_init__(self) -> None:
        self.state, self.socket, self.log = self.folder / "state", self.folder / "w.sock", self.folder / "daemon.log"
        if self.kmsg is None:
            self.kmsg = self.folder / "kmsg"
            self.kmsg.touch()
        (self.folder / "fryer.toml").write_text(self.config)
        (self.folder / "scenario.toml").write_text(self.scenario)
        if self.user is not None:
            os.chown(self.folder, self.user, self.user)

    def start(self, seconds: float = 60.0) -> None:
        """A daemon, which answers."""
        arguments = [FRYER, "watch", "--config", self.folder / "fryer.toml", "--state", self.state]
        arguments += ["--socket", self.socket, "--kmsg", self.kmsg]
        arguments += ["--simulate", self.folder / "scenario.toml"] if self.scenario else []
        begun = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.before, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self.environment,
            )
        try:
            wait_until("an answer of the daemon", self._answers, seconds)
        except AssertionError as error:
            error.add_note(self.log.read_text()[-3000:])
            raise
        self.started_seconds.append(time.monotonic() - begun)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"fryer watch ended at its start: {self.log.read_text()[-3000:]}"
        try:
            self.ask("/healthz")
        except NoAnswerError:
            return False
        return True

    def kill(self) -> None:
        """``kill -9``."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> tuple[int, float]:
        """SIGTERM; returns (exit code, seconds that it took)."""
        assert self.process is not None
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30), time.monotonic() - begun

    def end(self) -> None:
        """After the drill: nothing is left."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def ask(self, target: str, body: object = None, seconds: float = 10.0) -> Any:
        """A JSON document, or text; raises `NoAnswerError`."""
        data = None if body is None else json.dumps(body)
        with closing(_Connection(self.socket, seconds)) as connection:
            try:
                connection.request(
                    "GET" if body is None else "POST", target, data, {"Content-Type": "application/json"}
                )
                answer = connection.getresponse()
                text = answer.read().decode()
            except (OSError, http.client.HTTPException) as error:
                raise NoAnswerError(f"{target}: {type(error).__name__}: {error}") from error
        if answer.status == 503:
            raise NoAnswerError(text)
        assert answer.status == 200, f"{target}: {answer.status} {text}"
        return json.loads(text) if answer.headers["Content-Type"].startswith("application/json") else text

    def findings(self) -> dict[str, dict[str, Any]]:
        """The state's findings by code."""
        return {finding["code"]: finding for finding in self.ask("/v1/state")["findings"]}

    def write(self, *lines: str) -> None:
        """Into the kernel log, each as a record of ``/dev/kmsg``."""
        assert self.kmsg is not None
        stamp = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1e6)
        with self.kmsg.open("ab", buffering=0) as end:
            end.write("".join(f"4,1,{stamp},-;{line}\n" for line in lines).encode())

    def children(self) -> list[int]:
        """Process ids of the daemon's children."""
        assert self.process is not None
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text().split()]

    def rss_bytes(self) -> int:
        """Resident memory of the daemon itself."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def kept(self) -> Path:
        """Where the store lies: a simulation has one of its own."""
        return self.state / "simulated" if self.scenario else self.state

    def database(self) -> Path:
        """The store's file."""
        return next(path for path in self.kept.iterdir() if path.suffix in (".db", ".sqlite", ".sqlite3"))

    def is_intact(self) -> bool:
        """``PRAGMA integrity_check`` by SQLite itself, on whatever the last daemon left."""
        with closing(sqlite3.connect(self.database())) as connection:
            return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@dataclass
class Asking:
    """Asks the daemon over and over from a thread, and keeps what it took."""

    watched: Watched
    target: str = "/v1/health"
    every_seconds: float = 0.05
    seconds: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def going_on(self) -> Iterator[Asking]:
        """While the block runs."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(self.every_seconds):
                begun = time.monotonic()
                try:
                    self.watched.ask(self.target)
                except (NoAnswerError, AssertionError) as error:
                    self.problems.append(str(error))
                self.seconds.append(time.monotonic() - begun)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()

    def told(self) -> str:
        """Its figures, for people."""
        median, longest = statistics.median(self.seconds), max(self.seconds)
        return f"{len(self.seconds)} answers, median {median * 1e3:.1f} ms, longest {longest * 1e3:.0f} ms"


def say(text: str) -> None:
    """A figure of a long drill."""
    if IS_LONG:
        print(f"\ndrill: {text}", file=sys.__stdout__, flush=True)
