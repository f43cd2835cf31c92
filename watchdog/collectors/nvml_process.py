"""NVML in a child process with a deadline: a wedged GPU blocks a call for seconds, or for ever, and unkillably.

    parent ── "look" ──▶ child        the child says which GPU it turns to before it reads it, so that the parent knows
    parent ◀── parts ─── child        which one blocks; that GPU is left out of the next looks for a while

A child that does not answer in time is killed and replaced; the rest of the node stays readable.
"""

import ctypes
import multiprocessing
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from watchdog.clock import RunClock
from watchdog.collectors.readings import GpuIdentity, GpuReading, ReaderGap, XidEvent
from watchdog.simulator.node import SimulatedNode
from watchdog.vocabulary.errors import SourceFailed, SourceMissing

DEADLINE_SECONDS = 5.0
"""Longest wait for one look. Eight GPUs take a millisecond or two; a wedged GSP blocks 6 s and more a call."""
LEAST_REAL_SECONDS = 1.0
"""The deadline in a simulation is never shorter than this in real time: a busy laptop is no hung GPU."""
START_REAL_SECONDS = 60.0
"""From the start of the first child to its first answer: NVML without persistence mode wakes every GPU."""
LEAVE_OUT_SECONDS = 30.0
"""How long a GPU that blocked is left out."""
_LIBRARY = "libnvidia-ml.so.1"
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look gave."""

    readings: tuple[GpuReading, ...] = ()
    xids: tuple[XidEvent, ...] = ()
    gap: ReaderGap | None = None


@dataclass(slots=True)
class _Child:
    process: SpawnProcess
    connection: Connection
    is_ready: bool = False
    identities: tuple[GpuIdentity, ...] = ()


@dataclass(slots=True)
class _Parts:
    """What came of one look before its end or its deadline."""

    readings: list[GpuReading] = field(default_factory=list)
    xids: tuple[XidEvent, ...] = ()
    turned_to: str | None = None
    is_whole: bool = False


class NvmlProcess:
    """The parent's side. Every method returns within its deadline."""

    def __init__(self, clock: RunClock, simulated: SimulatedNode | None = None,
                 deadline_seconds: float = DEADLINE_SECONDS) -> None:
        """Start the child; raises `SourceMissing` where there is no NVML, `SourceFailed` where it does not start."""
        if simulated is None:
            _check_library()
        self._clock = clock
        self._simulated = simulated
        self._deadline = max(deadline_seconds / clock.speed, LEAST_REAL_SECONDS)
        self._left_out: dict[str, float] = {}
        self._silent_since: float | None = None
        self._child: _Child | None = self._start()
        self._identities = self._first_answer()

    def identities(self) -> tuple[GpuIdentity, ...]:
        """Who the GPUs are, as the child said at its start."""
        return self._identities

    def read(self) -> Look:
        """One look at every GPU that is not left out."""
        begun = self._clock.now()
        if not self._is_up():
            return Look(gap=self._gap(begun, None))
        assert self._child is not None
        out = [uuid for uuid, until in self._left_out.items() if until > begun]
        parts = _Parts()
        try:
            self._child.connection.send(out)
            self._collect(self._child.connection, parts)
        except (EOFError, OSError):
            pass  # the child died: what it said until then counts, and the gap tells of the rest
        if parts.is_whole:
            self._silent_since = None
            return Look(readings=tuple(parts.readings), xids=parts.xids)
        if parts.turned_to is not None:
            self._left_out[parts.turned_to] = self._clock.now() + LEAVE_OUT_SECONDS
        self._replace()
        return Look(readings=tuple(parts.readings), xids=parts.xids, gap=self._gap(begun, parts.turned_to))

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.connection.close()
            self._child.process.kill()
            self._child.process.join(1.0)
            self._child = None

    def _start(self) -> _Child:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._clock, self._simulated), daemon=True)
        process.start()
        theirs.close()
        return _Child(process, ours)

    def _first_answer(self) -> tuple[GpuIdentity, ...]:
        assert self._child is not None
        try:
            if not self._child.connection.poll(START_REAL_SECONDS):
                raise SourceFailed(f"NVML did not start within {START_REAL_SECONDS:.0f} s; see nvidia-smi and dmesg")
            answer = self._child.connection.recv()
        except (EOFError, OSError) as error:
            raise SourceFailed("the NVML reader ended before it answered; see dmesg") from error
        if isinstance(answer, Exception):
            raise answer
        self._child.is_ready = True
        return tuple(answer)

    def _is_up(self) -> bool:
        """The child has said hello; a replacement that does not is replaced in turn."""
        if self._child is None:
            return False
        if not self._child.is_ready:
            try:
                if self._child.connection.poll(self._deadline):
                    self._child.is_ready = not isinstance(self._child.connection.recv(), Exception)
            except (EOFError, OSError):
                self._child.is_ready = False
            if not self._child.is_ready and not self._child.process.is_alive():
                self._replace()
        return self._child.is_ready

    def _collect(self, connection: Connection, parts: _Parts) -> None:
        deadline = time.monotonic() + self._deadline
        while connection.poll(max(0.0, deadline - time.monotonic())):
            match connection.recv():
                case str() as uuid:
                    parts.turned_to = uuid
                case GpuReading() as reading:
                    parts.readings.append(reading)
                    parts.turned_to = None
                case tuple() as xids:
                    parts.xids = xids
                    parts.is_whole = True
                    return

    def _replace(self) -> None:
        """Kill the child, without waiting for one in D state, and start another."""
        self.close()
        self._child = self._start()

    def _gap(self, begun: float, uuid: str | None) -> ReaderGap:
        if self._silent_since is None:
            self._silent_since = begun
        silent = self._clock.now() - self._silent_since
        index = next((gpu.index for gpu in self._identities if gpu.uuid == uuid), None)
        who = f"gpu{index} ({uuid})" if uuid else "the reader"
        return ReaderGap(at_seconds=self._silent_since, for_seconds=silent, uuid=uuid,
                         message=f"{who}: NVML did not answer within {silent:.1f} s; its process was replaced")


def _check_library() -> None:
    """Raise `SourceMissing` without the cost of a child on a machine that has no NVIDIA driver."""
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise SourceMissing(f"NVML: no {_LIBRARY} on this machine") from error


def _serve(connection: Connection, clock: RunClock, simulated: SimulatedNode | None) -> None:
    """The child: answer looks until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    from watchdog.collectors.nvml import NvmlReader  # noqa: PLC0415 - pynvml belongs to the child

    if simulated is not None:
        from watchdog.simulator.library import install  # noqa: PLC0415 - likewise

        install(simulated)
    reader = NvmlReader()
    try:
        reader.open()
        connection.send(reader.identities())
        while True:
            left_out: Any = connection.recv()
            for message in _look(reader, clock, left_out):
                connection.send(message)
    except (SourceMissing, SourceFailed) as error:
        connection.send(error)
    except (EOFError, OSError):
        return  # the parent is gone


def _look(reader: Any, clock: RunClock, left_out: list[str]) -> Iterator[object]:
    """Before each GPU its UUID, then its reading; the Xids last."""
    for index, uuid in enumerate(reader.uuids):
        if uuid not in left_out:
            yield uuid
            yield reader.read_one(index, clock.now())
    yield reader.xids(clock.now())
