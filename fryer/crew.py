"""The workers of one phase, seen from the runner: started together, listened to, stopped, and killed when they hang."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from ctypes import c_double
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess

from fryer.records import Problem, Record
from fryer.workers import Done, Order, Ready, work
from watchdog.vocabulary.verdicts import Verdict

STOPPING = (signal.SIGTERM, signal.SIGHUP)
"""Stops that systemd, Slurm, timeout(1) and a dropped connection send to every process of a run."""
SILENCE_SECONDS = 60.0
"""A burn looks at least once a second whether it is to stop; one that has not looked for so long hangs."""
START_SECONDS = 120.0
"""From the fork to an open device. A first CUDA context on a node of eight GPUs without persistence takes tens."""
OVERRUN_SECONDS = 30.0
"""How much longer than asked a burn may take: it ends within a second or two of its time where all is well."""
STOP_SECONDS = 5.0
"""From the wish to stop to the kill. Burns look every second and have a second's work queued at most."""


@dataclass(slots=True)
class _Member:
    process: ForkServerProcess
    connection: Connection
    order: Order
    deadline: float
    """Real time (`time.monotonic`) at which it is killed."""
    pulse: c_double
    """When its burn last looked whether it is to stop (`time.monotonic`)."""
    is_ready: bool = False

    @property
    def name(self) -> str:
        return self.order.specs[0].name


def make_context() -> ForkServerContext:
    """A fork server with torch and the burns loaded. Forking is safe: nothing in it has touched a GPU."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fryer.preload"])
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING}
    forkserver.ensure_running()  # it and all workers inherit deafness: a stop sent to the whole group is the runner's
    for number, handler in before.items():
        signal.signal(number, handler)
    return context


def warm_up(context: ForkServerContext, is_stopped: Callable[[], bool]) -> None:
    """Wait until the server has torch loaded, so that the clock starts with everything in place."""
    first = context.Process(target=_nothing, daemon=True)
    first.start()
    while first.exitcode is None and not is_stopped():
        first.join(0.1)


def _nothing() -> None:
    """The first process: it waits until the server is up."""


class Crew:
    """Workers that burn at the same time."""

    def __init__(self, context: ForkServerContext, orders: Sequence[Order]) -> None:
        """Start one process an order."""
        self._stop = context.Event()
        self._stopping = False
        self._members = [self._start(context, order) for order in orders]
        self.hung: set[str] = set()
        """Devices whose worker had to be killed."""

    def _start(self, context: ForkServerContext, order: Order) -> _Member:
        receiver, sender = context.Pipe(duplex=False)
        pulse = context.Value("d", time.monotonic(), lock=False)
        process = context.Process(target=work, args=(sender, self._stop, pulse, order), daemon=True)
        process.start()
        sender.close()
        return _Member(process, receiver, order, time.monotonic() + START_SECONDS, pulse)

    @property
    def is_over(self) -> bool:
        """No worker is left."""
        return not self._members

    @property
    def is_ready(self) -> bool:
        """Every worker that is left has opened its device."""
        return all(member.is_ready for member in self._members)

    def stop(self) -> None:
        """Ask all to end; those that don't within `STOP_SECONDS` are killed."""
        if not self._stopping:
            self._stopping = True
            self._stop.set()
            deadline = time.monotonic() + STOP_SECONDS
            for member in self._members:
                member.deadline = min(member.deadline, deadline)

    def listen(self, seconds: float) -> Iterator[Record]:
        """What workers sent within the next `seconds` (real time); a worker that died or hung yields a `Problem`."""
        by_connection = {member.connection: member for member in self._members}
        for ready in wait(list(by_connection), timeout=seconds):
            assert isinstance(ready, Connection)
            yield from self._receive(by_connection[ready])
        now = time.monotonic()
        for member in [m for m in self._members if now > m.deadline or self._is_silent(m, now)]:
            yield self._kill(member)

    @staticmethod
    def _is_silent(member: _Member, now: float) -> bool:
        return member.is_ready and now - member.pulse.value > SILENCE_SECONDS

    def kill(self) -> None:
        """End all at once."""
        for member in list(self._members):
            self._end(member)

    def _receive(self, member: _Member) -> Iterator[Record]:
        try:
            while member.connection.poll():
                message = member.connection.recv()
                if isinstance(message, Ready):
                    member.is_ready = True
                    member.pulse.value = time.monotonic()
                    if not self._stopping:
                        order = member.order
                        member.deadline = time.monotonic() + order.seconds / order.clock.speed + OVERRUN_SECONDS
                elif isinstance(message, Done):
                    self._end(member)
                    return
                else:
                    yield message
        except (EOFError, OSError):
            member.process.join(STOP_SECONDS)
            code = member.process.exitcode
            self._end(member)
            yield self._problem(member, "crashed", f"its process ended with exit code {code}; see dmesg")

    def _kill(self, member: _Member) -> Problem:
        self.hung.add(member.name)
        what = self._what_is_wrong(member)
        self._end(member)
        return self._problem(member, "deadline", f"{what}, and its process was killed")

    def _what_is_wrong(self, member: _Member) -> str:
        if not member.is_ready:
            return f"was not open after {START_SECONDS:.0f} s"
        if self._stopping:
            return "did not stop when asked"
        silent = time.monotonic() - member.pulse.value
        return f"did nothing for {silent:.0f} s" if silent > SILENCE_SECONDS else "did not end in time"

    def _problem(self, member: _Member, code: str, what: str) -> Problem:
        return Problem(
            device=member.name,
            burn=member.order.burn,
            case="",
            verdict=Verdict.ERROR,
            code=code,
            message=f"{member.order.burn} on {member.name}: {what}",
        )

    def _end(self, member: _Member) -> None:
        self._members.remove(member)
        member.process.join(0.5)
        if member.process.exitcode is None:
            member.process.kill()
            member.process.join(1.0)  # a process in D state outlives this; it is left to the kernel
        member.connection.close()
