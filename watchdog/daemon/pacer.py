"""Calls the collectors: each in a thread of its own, at its period, watched by a deadline.

A collector that does not come back holds up nobody: it is told as failing, and is called again once it is back. One
whose source this machine lacks is called once. A collector with period 0 waits for something to happen by itself and is
called again at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from watchdog.collectors import Collected, Collector
from watchdog.state import CollectorState
from watchdog.vocabulary.errors import SourceFailed, SourceMissing

log = logging.getLogger(__name__)

MISSING_SECONDS = 60.0
"""A source that was missing is looked for again so often."""

Take = Callable[[str, Collected], None]
"""Called in the event loop with what a collector gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paced:
    """A collector with its pace."""

    name: str
    collector: Collector
    period_seconds: float
    deadline_seconds: float


class Pacer:
    """Runs collectors from within an asyncio loop."""

    def __init__(self, paced: Sequence[Paced], scheduler: AsyncIOScheduler, take: Take) -> None:
        """Nothing is called before `start`."""
        self._workers = [_Worker(one, take) for one in paced]
        self._scheduler = scheduler

    def start(self) -> None:
        """Begin; the first call of each collector is now."""
        loop = asyncio.get_running_loop()
        for worker in self._workers:
            worker.start(loop)
            if worker.paced.period_seconds > 0:
                self._scheduler.add_job(
                    worker.wake,
                    "interval",
                    seconds=worker.paced.period_seconds,
                    id=f"collect {worker.paced.name}",
                    misfire_grace_time=None,
                    coalesce=True,
                )

    def stop(self, seconds: float = 2.0) -> None:
        """Ask all to end and close them; one that hangs in its source is left to the process's end."""
        for worker in self._workers:
            worker.stop()
        deadline = time.monotonic() + seconds
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    def has_looked(self) -> bool:
        """Every collector has answered once, failed, or is past its deadline."""
        return all(worker.has_looked for worker in self._workers)

    def states(self) -> tuple[CollectorState, ...]:
        """How each collector is doing; one that is past its deadline is failing now."""
        return tuple(worker.state for worker in self._workers)


class _Worker:
    """One collector's thread."""

    def __init__(self, paced: Paced, take: Take) -> None:
        self.paced = paced
        self.due = threading.Event()
        self._take = take
        self._stopping = threading.Event()
        self._began_at: float | None = None
        self._state = CollectorState(name=paced.name, period_seconds=paced.period_seconds)
        self._thread = threading.Thread(target=self._run, name=f"collect {paced.name}", daemon=True)
        self._loop: asyncio.AbstractEventLoop

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.due.set()
        self._thread.start()

    async def wake(self) -> None:
        """Due: in the loop, since what is no coroutine would take a thread of its own."""
        self.due.set()

    @property
    def has_looked(self) -> bool:
        state = self.state
        return bool(state.num_calls or state.is_missing or state.last_error)

    def stop(self) -> None:
        self._stopping.set()
        self.due.set()

    def join(self, seconds: float) -> None:
        if self._thread.ident is not None:
            self._thread.join(seconds)
        if not self._thread.is_alive():
            self.paced.collector.close()

    @property
    def state(self) -> CollectorState:
        began = self._began_at
        waited = 0.0 if began is None else time.monotonic() - began
        if waited > self.paced.deadline_seconds:
            return replace(self._state, last_error=f"has not answered for {waited:.0f} s")
        return self._state

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self.paced.period_seconds > 0:
                self.due.wait()
                self.due.clear()
            if not self._stopping.is_set() and not self._once():
                self._stopping.wait(MISSING_SECONDS)

    def _once(self) -> bool:
        """One call; False when this machine has no such source, for now: a driver may be loaded later."""
        now = time.time()
        begun = time.monotonic()
        self._began_at = begun
        try:
            collected = self.paced.collector.collect(now)
        except SourceMissing as why:
            if not self._state.is_missing:
                log.info("collector=%s missing: %s", self.paced.name, why)
            self._state = replace(
                self._state, is_missing=True, last_error=str(why), num_calls=self._state.num_calls + 1
            )
            return False
        except SourceFailed as why:
            self._failed(str(why), begun)
            return True
        except Exception as error:  # noqa: BLE001 - the other collectors and the daemon must go on
            self._failed(f"{type(error).__name__}: {error}", begun)
            return True
        finally:
            self._began_at = None
        if self._state.last_error:
            log.info("collector=%s works again", self.paced.name)
        self._state = replace(
            self._state,
            is_missing=False,
            last_success_at=now,
            last_error="",
            duration_seconds=time.monotonic() - begun,
            num_calls=self._state.num_calls + 1,
        )
        if collected.rows or collected.events or collected.facts:
            self._hand_over(collected)
        return True

    def _failed(self, why: str, begun: float) -> None:
        if why != self._state.last_error:
            log.warning("collector=%s failed: %s", self.paced.name, why)
        self._state = replace(
            self._state,
            last_error=why,
            duration_seconds=time.monotonic() - begun,
            num_calls=self._state.num_calls + 1,
            num_failures=self._state.num_failures + 1,
        )
        if self.paced.period_seconds == 0:
            self._stopping.wait(1.0)  # a stream that fails at once is not to be asked in a tight loop

    def _hand_over(self, collected: Collected) -> None:
        try:
            self._loop.call_soon_threadsafe(self._take, self.paced.name, collected)
        except RuntimeError:
            self._stopping.set()  # the loop is closed: the daemon is ending
