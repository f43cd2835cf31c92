"""NVML in a child process with a deadline: a wedged GPU blocks a call for seconds, or for ever, and unkillably.

    parent ── Ask ─────▶ child        the child says which GPU it turns to before it reads it, so that the parent knows
    parent ◀── parts ─── child        which one blocks; that GPU is left out for a while, then asked last of all

A child that does not answer in time is killed and replaced in the background; the rest of the node stays readable.
"""

import ctypes
import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from signal import Signals

from watchdog.clock import RunClock
from watchdog.collectors.nvml_child import Setup
from watchdog.collectors.readings import GpuIdentity, GpuReading, ReaderGap, XidEvent
from watchdog.collectors.silence import Silences
from watchdog.simulator.node import SimulatedNode
from watchdog.vocabulary.errors import SourceFailed, SourceMissing

DEADLINE_SECONDS = 5.0
"""Longest wait for one look. Eight GPUs take a millisecond or two; a wedged GSP blocks 6 s and more a call."""
LEAST_REAL_SECONDS = 1.0
"""The deadline is never shorter than this in real time: a busy machine that simulates is no hung GPU."""
START_REAL_SECONDS = 60.0
"""From the start of a child to its first answer: NVML without persistence mode wakes every GPU."""
START_GPU_SECONDS = 20.0
"""Within that: for the identity of one GPU. One that takes longer is left out, and counts as silent."""
RESTART_REAL_SECONDS = (1.0, 60.0)
"""Waits between children that die at their start: the first, and the longest; each is twice the one before."""
_LIBRARY = "libnvidia-ml.so.1"
_ROOT = Path(__file__).resolve().parents[2]
_FAULTS = (Signals.SIGSEGV, Signals.SIGBUS, Signals.SIGABRT, Signals.SIGFPE, Signals.SIGILL)
"""Ends that the library itself brings about; any other signal was sent by somebody, and blames no GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look gave."""

    readings: tuple[GpuReading, ...] = ()
    xids: tuple[XidEvent, ...] = ()
    gap: ReaderGap | None = None


@dataclass(slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    connection: Connection
    started_real: float
    is_ready: bool = False


@dataclass(slots=True)
class _Parts:
    """What came of one look before its end or its deadline."""

    readings: list[GpuReading] = field(default_factory=list)
    xids: tuple[XidEvent, ...] = ()
    turned_to: int | None = None
    is_whole: bool = False
    is_cut: bool = False
    error: str | None = None


@dataclass(slots=True)
class _Hello:
    """What a child said at its start."""

    identities: list[GpuIdentity] = field(default_factory=list)
    turned_to: int | None = None
    is_whole: bool = False
    is_cut: bool = False


class NvmlProcess:
    """The parent's side; not for two threads at once. After the constructor, no method blocks beyond the deadline."""

    def __init__(
        self, clock: RunClock, simulated: SimulatedNode | None = None, deadline_seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Start the child; raises `SourceMissing` where there is no NVML, `SourceFailed` where it does not start."""
        if simulated is None:
            _check_library()
        self._clock = clock
        self._simulated = simulated
        self._deadline_real = max(deadline_seconds / clock.speed, LEAST_REAL_SECONDS)
        self._gpu_start_real = max(START_GPU_SECONDS / clock.speed, LEAST_REAL_SECONDS)
        self._identities: tuple[GpuIdentity, ...] = ()
        self._dying: list[subprocess.Popen[bytes]] = []
        self._num_started = 0
        self._restart_wait, self._restart_at = RESTART_REAL_SECONDS[0], 0.0
        # PR_SET_PDEATHSIG goes by the thread that started the child, so one thread starts all, and lives until close
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nvml-starter")
        self._child: _Child | None = None
        try:
            begun, blocked = clock.now(), self._introduce()
        except BaseException:
            self.close()
            raise
        self._silences = Silences(self._identities)
        for index, what in blocked.items():
            self._silences.gpu_missed(index, begun, clock.now(), what)

    def identities(self) -> tuple[GpuIdentity, ...]:
        """Who the GPUs are, as the child said at its start."""
        return self._identities

    def read(self) -> Look:
        """One look at every GPU that is not left out; those that did not answer lately are asked last."""
        begun = self._clock.now()
        self._dying = [process for process in self._dying if process.poll() is None]
        child = self._ready_child(begun)
        if child is None:
            return Look(gap=self._silences.standing(self._clock.now()))
        parts = _Parts()
        ask = self._silences.plan(begun)
        try:
            child.connection.send(ask)
            self._collect(child.connection, parts)
        except (EOFError, OSError):
            parts.is_cut = True  # the child died: what it said until then counts, and the gap tells of the rest
        self._silences.heard(reading.uuid for reading in parts.readings)
        if parts.is_whole:
            self._restart_wait = RESTART_REAL_SECONDS[0]
            self._silences.reader_is_back()
            return Look(readings=tuple(parts.readings), xids=parts.xids, gap=self._silences.standing(self._clock.now()))
        gap = self._missed(child, begun, parts)
        self._replace()
        return Look(readings=tuple(parts.readings), xids=parts.xids, gap=gap)

    def gaps(self) -> tuple[ReaderGap, ...]:
        """Every silence that goes on after the last look: `Look.gap` is the oldest of them."""
        return self._silences.all(self._clock.now())

    @property
    def num_restarts(self) -> int:
        """Children that were started after the first."""
        return max(0, self._num_started - 1)

    def close(self) -> None:
        """End the child. A second call does nothing; one that hangs inside the driver is not waited for."""
        self._drop()
        for process in self._dying:
            try:
                process.wait(1.0)
            except subprocess.TimeoutExpired:
                continue  # in an uninterruptible driver call: the kernel ends it when that returns
        self._dying = []
        self._starter.shutdown(wait=False)

    def _start(self, skip: tuple[int, ...] = ()) -> _Child:
        known = tuple(identity.uuid for identity in self._identities)
        self._num_started += 1
        process, connection = self._starter.submit(_spawn, Setup(self._clock, self._simulated, known, skip)).result()
        return _Child(process, connection, started_real=time.monotonic())

    def _introduce(self) -> dict[int, str]:
        """Learn the identities, with a new child for each GPU that blocks; returns those GPUs, and what they did.

        Raises what the child raised, or `SourceFailed` where it does not come to an answer in time.
        """
        deadline = time.monotonic() + START_REAL_SECONDS
        uuids: dict[int, str] = {}
        blocked: dict[int, str] = {}
        while True:
            self._drop()
            self._child = self._start(tuple(blocked))
            hello = self._hear_hello(self._child, deadline, uuids)
            if hello.is_whole:
                break
            code = _exit_code(self._child.process) if hello.is_cut else None
            if hello.turned_to is None or (hello.is_cut and not _is_fault(code)) or time.monotonic() >= deadline:
                raise SourceFailed(
                    "the NVML reader ended before it answered; see dmesg"
                    if hello.is_cut
                    else f"NVML did not start within {START_REAL_SECONDS:.0f} s; see nvidia-smi and dmesg"
                )
            blocked[hello.turned_to] = (
                f"NVML crashed (signal {-code})"
                if code
                else (f"NVML did not answer within {self._gpu_start_real * self._clock.speed:.3g} s")
            )
        self._child.is_ready = True
        found = {identity.index: identity for identity in hello.identities}
        driver = hello.identities[0].driver if hello.identities else "unknown"
        found |= {index: _unknown(index, uuids.get(index, f"unknown-gpu{index}"), driver) for index in blocked}
        self._identities = tuple(found[index] for index in sorted(found))
        return blocked

    def _hear_hello(self, child: _Child, deadline: float, uuids: dict[int, str]) -> _Hello:
        """What the child says until its end, its death or the deadline of a GPU; adds to `uuids`."""
        hello, until = _Hello(), deadline
        try:
            while child.connection.poll(max(0.0, min(until, deadline) - time.monotonic())):
                match child.connection.recv():
                    case int() as index:
                        hello.turned_to, until = index, time.monotonic() + self._gpu_start_real
                    case str() as uuid if hello.turned_to is not None:
                        uuids[hello.turned_to] = uuid
                    case GpuIdentity() as identity:
                        hello.identities.append(identity)
                    case Exception() as error:
                        raise error
                    case None:
                        hello.is_whole = True
                        break
        except (EOFError, OSError):
            hello.is_cut = True
        return hello

    def _ready_child(self, begun: float) -> _Child | None:
        """The child, when it has said hello. Does not wait: one that starts meanwhile is asked at a later look."""
        child = self._child
        if child is None:
            if time.monotonic() >= self._restart_at:
                self._child = self._start()
            return None
        if not child.is_ready:
            try:
                child.is_ready = child.connection.poll() and child.connection.recv() is None
                is_over = not child.is_ready and child.process.poll() is not None
            except (EOFError, OSError):
                is_over = True
            if is_over or (not child.is_ready and time.monotonic() > child.started_real + START_REAL_SECONDS):
                self._silences.reader_missed(begun, self._clock.now(), "the NVML reader does not start again")
                self._drop()
                self._restart_at = time.monotonic() + self._restart_wait
                self._restart_wait = min(2 * self._restart_wait, RESTART_REAL_SECONDS[1])
        return child if child.is_ready else None

    def _collect(self, connection: Connection, parts: _Parts) -> None:
        deadline = time.monotonic() + self._deadline_real
        while connection.poll(max(0.0, deadline - time.monotonic())):
            match connection.recv():
                case int() as index:
                    parts.turned_to = index
                case GpuReading() as reading:
                    parts.readings.append(reading)
                    parts.turned_to = None
                case tuple() as xids:
                    parts.xids = xids
                case None:
                    parts.is_whole = True
                    return
                case error:
                    parts.error = str(error)
                    return

    def _missed(self, child: _Child, begun: float, parts: _Parts) -> ReaderGap:
        """Whose fault the silence is: a GPU's when the child blocks or crashes in a call for it, else nobody's."""
        now, index = self._clock.now(), parts.turned_to
        code = _exit_code(child.process) if parts.is_cut else child.process.poll()
        stranger = parts.error
        if stranger is None and code is None and _state(child.process.pid) in ("T", "t"):
            stranger = "the NVML reader was stopped by a signal"
        if stranger is None and code is not None and not _is_fault(code):
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            stranger = f"the NVML reader ended ({how}), not by a GPU's fault"
        if stranger is None and index is None:
            stranger = "the NVML reader did not answer, though in no GPU's call"
        if stranger is not None or index is None:
            return self._silences.reader_missed(begun, now, f"{stranger}; it was replaced")
        if code is not None:
            return self._silences.gpu_missed(index, begun, now, f"NVML crashed (signal {-code})")
        seconds = self._deadline_real * self._clock.speed
        return self._silences.gpu_missed(index, begun, now, f"NVML did not answer within {seconds:.3g} s")

    def _replace(self) -> None:
        self._drop()
        self._child = self._start()

    def _drop(self) -> None:
        """Kill the child, without waiting for one that is in an uninterruptible call."""
        if self._child is not None:
            self._child.connection.close()
            self._child.process.kill()
            self._dying.append(self._child.process)
            self._child = None


def _spawn(setup: Setup) -> tuple[subprocess.Popen[bytes], Connection]:
    """A fresh interpreter, not a fork: nothing of the parent's libraries, threads or main module comes along."""
    ours, theirs = multiprocessing.Pipe()
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "watchdog.collectors.nvml_child", str(theirs.fileno()), str(os.getpid())],
        pass_fds=(theirs.fileno(),),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )
    theirs.close()
    ours.send(setup)
    return process, ours


def _check_library() -> None:
    """Raise `SourceMissing` without the cost of a child on a machine that has no NVIDIA driver."""
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise SourceMissing(f"NVML: no {_LIBRARY} on this machine") from error


def _unknown(index: int, uuid: str, driver: str) -> GpuIdentity:
    """A GPU of which no more is known than that it is there."""
    return GpuIdentity(
        index=index,
        uuid=uuid,
        name="unknown GPU",
        serial=None,
        pci_bus_id="",
        vbios=None,
        driver=driver,
        memory_bytes=None,
        power_limit_watts=None,
        sm_clock_max_hertz=None,
    )


def _is_fault(code: int | None) -> bool:
    return code is not None and code < 0 and -code in _FAULTS


def _exit_code(process: subprocess.Popen[bytes]) -> int | None:
    """Exit code (negative: the signal), None while it lives. A closed pipe comes a moment before the end."""
    try:
        return process.wait(0.05)
    except subprocess.TimeoutExpired:
        return None


def _state(pid: int) -> str | None:
    """One letter of ``/proc/PID/stat``: T is stopped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return None
