"""The daemon: one asyncio loop over pacer, core, writer, API, alerts, Slurm and systemd. It is the API's `Service`.

collectors (threads) ─▶ take ─▶ core ─▶ judge: every few seconds, and soon after an event
                           └──▶ writer (thread): one transaction a second
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from watchdog import systemd
from watchdog.collectors import Collected
from watchdog.daemon.core import Core, Judgement
from watchdog.daemon.health import counted, health_rows, unseen
from watchdog.daemon.pacer import Paced, Pacer
from watchdog.incidents import Change
from watchdog.policy import Decision
from watchdog.service import RunRecord
from watchdog.slurm import Slurm
from watchdog.state import State
from watchdog.store import Item, Retention, Store, Writer
from watchdog.store import upkeep as store_upkeep
from watchdog.store.troubles import of_writer
from watchdog.store.watch_log import WatchLog
from watchdog.vocabulary.errors import FryerError, StoreError
from watchdog.vocabulary.incidents import Incident, Mark
from watchdog.vocabulary.runs import Step
from watchdog.vocabulary.samples import Event, Row
from watchdog.vocabulary.subjects import Subject
from watchdog.vocabulary.verdicts import Verdict

log = logging.getLogger(__name__)

EVENT_SECONDS = 0.01
"""From an event to its judgement: events that come together are judged together."""
STORM_SECONDS = 0.5
"""Least time between two judgements: a storm of events does not keep the loop from its other work."""
NVML, KMSG = "nvml", "kmsg"
FIRST_JUDGE_SECONDS = 0.2
FIRST_LOOK_SECONDS = 15.0
"""Longest wait for the first answers: until then nothing is concluded from silence."""
NAMES_SECONDS = 60.0
"""Longest wait for the names of GPUs: NVML without persistence mode takes up to a minute to start."""
CLOCK_JUMP_SECONDS = 5.0
DRAIN_AGAIN_SECONDS = 60.0
"""Between two tries of a drain that failed."""
KEEP_SECONDS = 30.0
"""How long a run's request may wait for the disk before it is told to send again."""
STOP_SECONDS = 5.0
_QUALIFICATION_SECONDS = 60.0
_LOOK_AT_RUNS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the daemon is made of."""

    node: str
    core: Core
    store: Store
    writer: Writer
    paced: Sequence[Paced]
    judge_seconds: float
    retention: Retention
    offer_alerts: Callable[[Sequence[Incident], Decision], None] | None = None
    slurm: Slurm | None = None
    is_simulated: bool = False


class Daemon:
    """Runs until `stop`. All its methods are called in its event loop."""

    def __init__(self, parts: Parts) -> None:
        """Nothing runs before `run`."""
        self._parts = parts
        self._core = parts.core
        self._log = WatchLog(parts.store)
        self._scheduler = AsyncIOScheduler()
        self._pacer = Pacer(parts.paced, self._scheduler, self._take)
        self._judging: asyncio.TimerHandle | None = None
        self._judged_at = 0.0
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()
        self._state: State | None = None
        self._known_gpus: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._counters: Counter[str] = Counter()
        self._thread = threading.get_ident()
        self._begun = time.monotonic()
        self._is_warm = False
        """Every collector has answered once, or had its time: silence now says something."""
        self._waiting: list[Collected] = []
        """Kernel events from before GPUs were known by name."""
        self._clock_offset = time.time() - time.monotonic()
        self._drain_not_before = 0.0
        self._held: list[Item] = []
        """Events that wait to be judged, and what came after them: kept in one transaction with their incidents. A
        kill in between would leave a cursor that is past lines of which no incident knows."""
        self.count_rejected: Callable[[], float] = lambda: 0.0
        """Requests that the API refused so far; set by whoever makes both."""

    @property
    def state(self) -> State:
        """What is known now; made when it is asked for, and at most once between two changes."""
        if self._state is None:
            self._state = self._make_state(time.time())
        return self._state

    async def run(self) -> None:
        """Start everything, say READY, and go on until `stop`; then leave in order."""
        self._thread = threading.get_ident()
        self._schedule()
        self._scheduler.start()
        self._pacer.start()
        systemd.ready("looking for the first time")
        try:
            await self._stopping.wait()
        finally:
            await self._end()

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()

    async def keep(self, records: Sequence[RunRecord]) -> None:
        """See `Service.keep`: it returns once the records are on the disk."""
        items = [*records, *self._core.hear(records)]
        future = self._parts.writer.submit(items, patience_seconds=KEEP_SECONDS)
        await asyncio.wrap_future(future)
        self._state = None

    async def mark(self, mark: Mark) -> Incident:
        """See `Service.mark`."""
        incident, changes, items = self._core.mark(mark)
        await asyncio.wrap_future(self._parts.writer.submit(items, at_once=True, patience_seconds=KEEP_SECONDS))
        self._tell(changes)
        self._publish()
        return incident

    async def rows(self, subject: Subject, since: float, limit: int) -> Sequence[Row]:
        """See `Service.rows`."""
        return await asyncio.to_thread(self._log.rows, subject, since, limit)

    async def events(self, since: float, limit: int) -> Sequence[Event]:
        """See `Service.events`."""
        return await asyncio.to_thread(self._log.events, since, limit)

    async def incidents(self, since: float, limit: int) -> Sequence[Incident]:
        """See `Service.incidents`."""
        return await asyncio.to_thread(self._log.incidents, since, limit)

    async def steps(self, run: str, since_step: int, limit: int) -> Sequence[Step]:
        """See `Service.steps`."""
        return await asyncio.to_thread(self._log.steps, run, since_step, limit)

    async def changes(self) -> AsyncIterator[State]:
        """See `Service.changes`: each reader sees the newest state and may miss some in between."""
        while not self._stopping.is_set():
            changed = self._changed
            yield self.state
            await changed.wait()

    def _take(self, name: str, collected: Collected) -> None:
        """A collector gave something: into memory, to the writer, and to the judges where it is an event."""
        assert threading.get_ident() == self._thread
        if name == KMSG and not self._knows_gpus():
            self._waiting.append(collected)
            return
        self._take_in(collected)

    def _take_in(self, collected: Collected) -> None:
        self._held += self._core.take(collected)
        if not self._core.has_new_events:
            self._submit(self._release())
        self._state = None
        if collected.facts:
            self._learn_baselines(collected)
        if collected.events and self._is_warm:
            self._judge_soon()

    def _knows_gpus(self) -> bool:
        """GPUs are known by UUID, or won't be: the kernel names them by address, and replays what is from before."""
        states = {state.name: state for state in self._pacer.states()}
        nvml = states.get(NVML)
        late = time.monotonic() - self._begun > NAMES_SECONDS
        return late or bool(self._core.uuids) or nvml is None or nvml.is_missing

    def _is_ready(self) -> bool:
        """All have answered once. Kernel events that waited for names are taken in now."""
        if not self._is_warm and (self._pacer.has_looked() or time.monotonic() - self._begun > FIRST_LOOK_SECONDS):
            if not self._knows_gpus():
                return False
            waiting, self._waiting = self._waiting, []
            for collected in waiting:
                self._take_in(collected)
            self._is_warm = True
        return self._is_warm

    def _judge_soon(self) -> None:
        if self._judging is None:
            wait = max(EVENT_SECONDS, self._judged_at + STORM_SECONDS - time.monotonic())
            self._judging = asyncio.get_running_loop().call_later(wait, self._judge_now)

    def _judge_now(self) -> None:
        self._judging = None
        if not self._stopping.is_set():
            self._judge(is_hurried=True)

    async def _judge_regularly(self) -> None:
        if self._is_ready():
            self._judge(is_hurried=False)

    def _judge(self, *, is_hurried: bool) -> None:
        """One judgement, and what follows of it."""
        assert threading.get_ident() == self._thread
        if self._judging is not None:
            self._judging.cancel()
            self._judging = None
        now = time.time()
        self._look_at_ourselves(now)
        judgement = self._core.judge(now, is_hurried=is_hurried)
        self._judged_at = time.monotonic()
        self._submit([*self._release(), *judgement.items])
        self._tell(judgement.changes)
        self._carry_out(judgement)
        if self._parts.offer_alerts is not None:
            self._parts.offer_alerts(self._core.incidents, judgement.decision)
        self._publish()
        systemd.show(self._status())

    def _look_at_ourselves(self, now: float) -> None:
        """How collectors and store are doing, as rows and findings."""
        self._look_at_the_clock(now)
        rows, facts = health_rows(self._parts.node, self._pacer.states(), now, self._core.started_at)
        self._core.take(Collected(rows=rows, facts=facts))
        told = {finding.code: finding for finding in of_writer(self._parts.node, self._parts.writer.status, now)}
        for code in ("store_failing", "store_hanging"):
            self._core.tell(code, told.get(code))
        for name, finding in unseen(self._parts.node, self._pacer.states(), now).items():
            self._core.tell(name, finding)

    def _look_at_the_clock(self, now: float) -> None:
        """Readings from before and after a jump of the wall clock can't be compared: they begin anew."""
        jump = now - time.monotonic() - self._clock_offset
        if abs(jump) > CLOCK_JUMP_SECONDS:
            self._clock_offset += jump
            self._core.forget_readings()
            log.warning("node=%s the clock jumped by %.0f s: readings begin anew", self._parts.node, jump)
            self._counters["clock_jumps_total"] += 1

    def _carry_out(self, judgement: Judgement) -> None:
        """Drain and undrain, in a thread: scontrol may take its time."""
        decision, signal = judgement.decision, judgement.new_signal
        if signal is not None and not signal.is_observed_only:
            self._counters[f"signals_total.{signal.action}"] += 1
        if self._parts.slurm is None or self._tasks or time.monotonic() < self._drain_not_before:
            return
        for drain in decision.drains[:1]:
            self._start(self._drain(self._parts.slurm, drain.incident, drain.reason))
        for _ in decision.undrains[:1]:
            self._start(self._undrain(self._parts.slurm))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, slurm: Slurm, incident: str, reason: str) -> None:
        try:
            outcome = await asyncio.to_thread(slurm.drain, self._parts.node, reason)
        except FryerError as error:
            log.warning("node=%s could not be drained: %s", self._parts.node, error)
            self._counters["drain_failures_total"] += 1
            self._drain_not_before = time.monotonic() + DRAIN_AGAIN_SECONDS
            return
        log.info("node=%s %s", self._parts.node, outcome.why)
        changes, items = self._core.drained(incident, time.time())
        self._submit(items)
        self._tell(changes)
        self._publish()

    async def _undrain(self, slurm: Slurm) -> None:
        try:
            outcome = await asyncio.to_thread(slurm.undrain, self._parts.node)
        except FryerError as error:
            log.warning("node=%s could not be undrained: %s", self._parts.node, error)
            self._drain_not_before = time.monotonic() + DRAIN_AGAIN_SECONDS
            return
        log.info("node=%s %s", self._parts.node, outcome.why)
        self._submit(self._core.undrained())

    async def _look_at_slurm(self) -> None:
        """Somebody may have given the node back: then a later fault may drain it again."""
        slurm = self._parts.slurm
        if slurm is None or not self._core.is_drained or self._tasks:
            return
        try:
            node = await asyncio.to_thread(slurm.show, self._parts.node)
        except FryerError as error:
            log.warning("node=%s could not be looked at: %s", self._parts.node, error)
            return
        if not node.is_ours:
            log.info("node=%s was given back by somebody", self._parts.node)
            self._submit(self._core.undrained())

    def _learn_baselines(self, collected: Collected) -> None:
        """A GPU that is new: its own figures of its last qualification, from the store."""
        new = {s.name for s in collected.facts if s.kind == "gpu"} - self._known_gpus
        if new:
            self._start(self._read_baselines(new))

    async def _read_baselines(self, uuids: set[str]) -> None:
        try:
            found = await asyncio.to_thread(self._log.baselines, uuids, is_simulated=self._parts.is_simulated)
        except StoreError as error:
            log.warning("baselines can't be read: %s", error)
            return
        self._known_gpus |= uuids
        node = self._parts.node
        self._core.add_facts({Subject(node, "gpu", uuid): {"baseline": figures} for uuid, figures in found.items()})

    async def _look_for_qualifications(self) -> None:
        """When this node last passed a qualification: what verifies a drained one."""
        try:
            runs = await asyncio.to_thread(self._parts.store.runs, _LOOK_AT_RUNS)
        except StoreError as error:
            log.warning("qualifications can't be read: %s", error)
            return
        node = self._parts.node
        passed = [run for run in runs if node in run.nodes and run.verdict in (Verdict.PASS, Verdict.WARN)]
        if passed:
            self._core.qualified[node] = max(_epoch(run.started_at) + run.seconds for run in passed)

    def _tell(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.kind != "updated":
                log.info("incident=%s %s root=%s code=%s: %s", change.incident.id, change.kind, change.incident.root,
                         change.incident.root_code, change.incident.title)  # fmt: skip

    def _release(self) -> list[Item]:
        """What was held, to be submitted now."""
        held, self._held = self._held, []
        return held

    def _submit(self, items: Sequence[Item]) -> None:
        if items:
            future = self._parts.writer.submit(items)
            future.add_done_callback(self._count_lost)

    def _count_lost(self, future: Future[None]) -> None:
        if future.exception() is not None:
            self._counters["store_refused_total"] += 1

    def _publish(self) -> None:
        """A new state for whoever waits for one."""
        self._state = None
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _schedule(self) -> None:
        jobs: list[tuple[str, Callable[[], Coroutine[Any, Any, None]], float]] = [
            ("look first", self._look_first, FIRST_JUDGE_SECONDS),
            ("judge", self._judge_regularly, self._parts.judge_seconds),
            ("look at Slurm", self._look_at_slurm, DRAIN_AGAIN_SECONDS),
            ("keep the store small", self._keep_small, 600.0),
            ("qualifications", self._look_for_qualifications, _QUALIFICATION_SECONDS),
        ]
        heartbeat = systemd.heartbeat_seconds()
        if heartbeat is not None:
            jobs.append(("heartbeat", self._beat, heartbeat))
        for name, work, seconds in jobs:
            self._scheduler.add_job(
                work, "interval", seconds=seconds, id=name, coalesce=True, max_instances=1, misfire_grace_time=None
            )

    async def _look_first(self) -> None:
        """The first judgement does not wait for its turn."""
        if self._is_ready():
            self._scheduler.remove_job("look first")
            self._judge(is_hurried=False)

    async def _beat(self) -> None:
        """In the loop, and nowhere else: a loop that stands still must miss its heartbeat."""
        systemd.beat()

    async def _keep_small(self) -> None:
        try:
            await asyncio.to_thread(store_upkeep.keep_small, self._parts.store, time.time(), self._parts.retention)
        except StoreError as error:
            log.warning("upkeep of the store failed: %s", error)

    async def _end(self) -> None:
        systemd.stopping("writing what is left")
        self._scheduler.shutdown(wait=False)
        if self._judging is not None:
            self._judging.cancel()
        for task in list(self._tasks):
            task.cancel()
        self._publish()
        await asyncio.to_thread(self._pacer.stop)
        last = self._core.judge(time.time(), is_hurried=True)
        self._submit([*self._release(), *last.items, *self._core.kept()])
        is_whole = await asyncio.to_thread(self._parts.writer.close, STOP_SECONDS)
        if not is_whole:
            log.error("the store did not take everything before the end")

    def _status(self) -> str:
        state = self.state
        open_incidents = sum(incident.closed_at is None for incident in state.incidents)
        return f"{state.severity.name}: {len(state.findings)} findings, {open_incidents} open incidents"

    def _make_state(self, now: float) -> State:
        core, status = self._core, self._parts.writer.status
        rows = core.newest(now)
        collectors = self._pacer.states()
        counters = {
            **self._counters,
            "store_rows_dropped_total": float(status.rows_dropped_total),
            "store_items_refused_total": float(status.items_refused_total),
            "api_rejected_total": self.count_rejected(),
            **counted(rows),
        }
        return State(
            node=self._parts.node,
            at=now,
            started_at=core.started_at,
            version=version("fryer"),
            severity=core.severity,
            findings=core.findings,
            incidents=core.incidents,
            signal=core.signal,
            rows=rows,
            facts=core.facts,
            collectors=collectors,
            runs=core.runs.states,
            xid_counts=dict(core.xid_counts),
            sxid_counts=dict(core.sxid_counts),
            counters=counters,
        )


def _epoch(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()
