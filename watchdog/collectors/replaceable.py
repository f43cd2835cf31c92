"""The child process of `nvml_process`, one after another: started, heard, killed, reaped. Knows nothing of GPUs."""

import logging
import os
import subprocess
import sys
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from watchdog.clock import RunClock

log = logging.getLogger(__name__)

_PROGRAM = "from watchdog.collectors.nvml_child import main; main()"
_PACKAGES = Path(__file__).resolve().parents[2]
"""Where our `watchdog` is: the child must get this one, wherever it is started."""
_KILL_REAL_SECONDS = 0.05
"""SIGKILL ends a process in a moment, or, in an uninterruptible call, not before that returns."""
MOST_UNKILLABLE = 3
"""Children that the kernel can't kill, kept at most: each holds a driver handle and memory."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
"""Between starts in a row: none before the first replacement, then 1 s, 2 s ... 1 minute of the run's clock."""


class Replaceable:
    """At most one child at work, and those that could not be killed yet."""

    def __init__(self, clock: RunClock) -> None:
        """No child yet."""
        self.is_ready = False
        """It answered the first request."""
        self.opening: int | None = None
        """The GPU that a starting child turned to."""
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._unkillable: list[subprocess.Popen[bytes]] = []
        self._heard = 0.0
        self._failures = 0
        self._next_start = 0.0

    @property
    def is_running(self) -> bool:
        """There is a child at work, as far as is known."""
        return self._process is not None

    def start(self, request: object) -> None:
        """Start a child in the background and send it its first request."""
        assert self._process is None
        ours, theirs = Pipe()
        path = os.pathsep.join(p for p in (str(_PACKAGES), os.environ.get("PYTHONPATH", "")) if p)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path})
        theirs.close()
        self._connection = ours
        self.is_ready, self.opening, self._heard = False, None, time.monotonic()
        try:
            ours.send(request)
        except OSError as error:
            log.warning("NVML reader died at its start error=%s", error)  # `poll` and `receive` will say so too

    def may_start(self) -> bool:
        """No child is at work, and the pause after the last failure is over."""
        self._reap()
        return (self._process is None and len(self._unkillable) <= MOST_UNKILLABLE
                and self._clock.now() >= self._next_start)

    def send(self, message: object) -> None:
        """Send a small message; raises `OSError` when the child is dead."""
        assert self._connection is not None
        self._connection.send(message)

    def poll(self, real_seconds: float) -> bool:
        """Wait for a message or for the child's death."""
        return self._connection is not None and self._connection.poll(max(0.0, real_seconds))

    def receive(self) -> object:
        """The next message; raises `EOFError` or `OSError` when the child is dead."""
        assert self._connection is not None
        message: object = self._connection.recv()
        self._heard = time.monotonic()
        return message

    def silent_real_seconds(self) -> float:
        """Since the last message, or since the start."""
        return time.monotonic() - self._heard

    def is_stopped_or_dead(self) -> bool:
        """It does not answer because of a signal, and not because of a call that blocks."""
        if self._process is None or self._process.poll() is not None:
            return True
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return True
        return stat.rpartition(")")[2].split()[0] in "TtZX"

    def is_well(self) -> None:
        """A whole look was answered: the next failure begins with the shortest pause."""
        self._failures = 0

    def replace_later(self) -> None:
        """Kill the child; the next may start at once after a first failure, else after a pause that grows."""
        self._kill()
        self._failures += 1
        pause = 0.0 if self._failures == 1 else min(FIRST_PAUSE_SECONDS * 2 ** (self._failures - 2),
                                                    LONGEST_PAUSE_SECONDS)
        self._next_start = self._clock.now() + pause
        log.warning("NVML reader replaced failures=%d pause_seconds=%.1f", self._failures, pause)

    def state(self) -> str:
        """What is being done about it, for a message."""
        if len(self._unkillable) > MOST_UNKILLABLE:
            return f"{len(self._unkillable)} readers hang in the driver and can't be killed: reboot the node"
        return "another is starting" if self._process is not None else "another is started after a pause"

    def close(self) -> None:
        """Kill the child and wait a moment for it."""
        self._kill()
        self._reap()

    def _kill(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        try:
            process.wait(_KILL_REAL_SECONDS)
        except subprocess.TimeoutExpired:
            self._unkillable.append(process)

    def _reap(self) -> None:
        self._unkillable = [process for process in self._unkillable if process.poll() is None]
