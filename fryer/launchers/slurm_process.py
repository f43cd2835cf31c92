"""The one process that carries all workers of a Slurm run: its lines out, orders in, and its end.

A reader thread reads stderr before stdout: srun says which task is on which node before that task prints. A writer
thread takes orders, so that a srun which does not read holds up nobody.
"""

import contextlib
import os
import queue
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from watchdog.vocabulary.errors import UsageError

READ_BYTES = 65536
_ERR, _OUT = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OutLine:
    """A line of stdout, without its end."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrLine:
    """A line of stderr."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """The process is over, and all that it printed was read."""

    exit_code: int
    """Negative: the signal that ended it."""


Heard = OutLine | ErrLine | Over


class SlurmProcess:
    """salloc with srun in it, or srun. In a session of its own: Ctrl-C at a terminal is the controller's alone."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise UsageError(f"{command[0]} can't be run: {error}") from error
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._orders: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=work, name=f"slurm {work.__name__}", daemon=True)
            for work in (self._read_all, self._write_all)
        ]
        for thread in self._threads:
            thread.start()

    def send(self, text: str) -> None:
        """For the stdin of all workers; returns at once."""
        self._orders.put(text.encode("ascii"))

    def end_orders(self) -> None:
        """Close their stdin, behind all orders so far."""
        self._orders.put(None)

    def hear(self, seconds: float) -> list[Heard]:
        """What was said; waits up to `seconds` for the first."""
        found: list[Heard] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._heard.get(timeout=max(0.0, seconds)))
            while True:
                found.append(self._heard.get_nowait())
        return found

    def wait(self, seconds: float) -> bool:
        """Whether it is over within `seconds`."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.returncode is not None

    def signal(self, number: signal.Signals) -> None:
        """To salloc and srun alike."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def release(self, seconds: float) -> None:
        """The last call, when it is over: its threads end."""
        self.end_orders()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _read_all(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        streams = {_ERR: self._process.stderr, _OUT: self._process.stdout}
        rests = {_ERR: b"", _OUT: b""}
        with selectors.DefaultSelector() as selector:
            for kind, stream in streams.items():
                selector.register(stream, selectors.EVENT_READ, kind)
            while selector.get_map():
                for key, _ in sorted(selector.select(), key=lambda ready: int(ready[0].data)):
                    kind = key.data
                    read = os.read(key.fd, READ_BYTES)
                    *lines, rests[kind] = (rests[kind] + read).split(b"\n")
                    if not read:
                        selector.unregister(key.fileobj)
                        lines = [rests[kind]] if rests[kind] else []
                    for line in lines:
                        self._tell(kind, line.decode("utf-8", "replace"))
        for stream in streams.values():
            stream.close()
        self._heard.put(Over(exit_code=self._process.wait()))

    def _tell(self, kind: int, text: str) -> None:
        self._heard.put(OutLine(text=text) if kind == _OUT else ErrLine(text=text))

    def _write_all(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:  # broken: `Over` says so
            while (text := self._orders.get()) is not None:
                stdin.write(text)
                stdin.flush()
