"""The worker of one node: says who it is, carries out orders one after the other, ends when nobody is there to order.

    stdin ─▶ listener (thread) ─▶ queue ─▶ main thread: Qualify, Collect ─▶ stdout
                  │ Stop, end of stdin            pulse (thread): Progress ─▶ stdout
                  └─▶ stopper ─▶ (not heard in time) ─▶ everything it started is killed

Burns must be carried out in the main thread: starting their processes touches signal handlers. It judges nothing.
"""

import os
import queue
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import psutil

from fryer.evidence import DeviceInfo, NodeEvidence
from fryer.fleet.channel import Channel
from fryer.fleet.identity import hello
from fryer.fleet.orders import Collect, Collected, Qualified, Qualify, Stop
from fryer.fleet.pulse import Pulse
from fryer.fleet.thinned import thinned
from fryer.fleet.wire import Unreadable
from fryer.platform import versions
from fryer.records import Mismatch, Problem, Record
from fryer.result import RunInfo, RunResult
from fryer.stopper import Stopper
from watchdog.collectors.readings import GpuReading
from watchdog.vocabulary.verdicts import Verdict

GRACE_SECONDS = 10.0
"""From the end of all orders to the kill of whatever is left: a burn is killed within a second or two."""
HAND_IN_SECONDS = 30.0
"""From a `Stop` to that kill: `fryer.crew` gives burns 5 s, and the evidence so far is sent."""
LOOK_SECONDS = 0.2
EXIT_DONE = 0
EXIT_ENDED = 3
"""Ended by a signal, or because nobody was there any more: nothing can be told."""
GONE = "its controller is gone"
TOLD = "stopped by its controller"


def serve(node: str, channel: Channel, address: str | None, stopper: Stopper) -> int:
    """Carry out orders until `Stop`, the end of stdin, or a signal that `stopper` hears; returns the exit code."""
    channel.say(hello(node, address))
    worker = _Worker(node, channel, stopper)
    try:
        worker.work()
    finally:
        _kill_all_children()
    if stopper.reason == TOLD:
        return EXIT_DONE
    print(f"fryer worker on {node}: ended: {stopper.reason}", file=sys.stderr)  # noqa: T201 - the launcher shows it
    return EXIT_ENDED


class _Worker:
    """The orders of one worker."""

    def __init__(self, node: str, channel: Channel, stopper: Stopper) -> None:
        self._node = node
        self._channel = channel
        self._stopper = stopper
        self._orders: queue.SimpleQueue[Qualify | Collect] = queue.SimpleQueue()
        self._pulse = Pulse(node, channel)
        threading.Thread(target=self._listen, name="listener", daemon=True).start()
        threading.Thread(target=self._guard, name="guard", daemon=True).start()

    def work(self) -> None:
        """Carry out what comes, in its order."""
        while not self._stopper.reason:
            try:
                order = self._orders.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                continue
            self._carry_out(order)
            self._pulse.rest()

    def _carry_out(self, order: Qualify | Collect) -> None:
        if isinstance(order, Qualify):
            self._pulse.begin(order.id, "starts its burns")
            self._channel.say(Qualified(node=self._node, order=order.id, evidence=thinned(self._qualify(order))))
        elif any(self._node in group for group in order.groups):
            self._pulse.begin(order.id, "starts its collectives")
            collected = self._collect(order)
            if collected is not None:
                self._channel.say(collected)

    def _qualify(self, order: Qualify) -> NodeEvidence:
        from fryer.runner import nothing_past, run  # noqa: PLC0415 - a Hello waits for no burns

        info = RunInfo(
            run_id=order.id,
            started_at=datetime.now(UTC).isoformat(timespec="seconds"),
            plan=replace(order.plan, nodes=(self._node,)),
            command="",
        )
        try:
            return run(info, _Told(self._pulse), nothing_past, self._stopper).evidence[0]
        except Exception as error:  # noqa: BLE001 - the worker lives on, and the node's verdict is the error
            message = f"its burns broke: {type(error).__name__}: {' '.join(str(error).split())[:500]}"
            return _broken(self._node, message, order.plan.seed)

    def _collect(self, order: Collect) -> Collected | None:
        from fryer.collectives.collect import run_collect  # noqa: PLC0415 - a Hello waits for no collectives

        try:
            return run_collect(order, self._node, self._pulse.at, should_stop=lambda: self._stopper.reason is not None)
        except Exception as error:  # noqa: BLE001 - the worker lives on, and the group is told why it has no rows
            message = f"its collectives broke: {type(error).__name__}: {' '.join(str(error).split())[:500]}"
            return Collected(node=self._node, order=order.id, problem=message)

    def _listen(self) -> None:
        for order in self._channel.listen(_complain):
            if isinstance(order, Stop):
                self._stopper.stop(TOLD)
            else:
                self._orders.put(order)
        if self._stopper.reason is None:
            self._stopper.stop(GONE)
        self._stopper.stop(GONE)  # twice: nothing is waited for

    def _guard(self) -> None:
        """Once it is to end, it ends: a driver call that hangs keeps no worker alive."""
        until = float("inf")
        while time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            is_alone = self._channel.is_broken or self._channel.is_abandoned
            if is_alone and not self._stopper.is_urgent:
                self._stopper.stop(GONE)
                self._stopper.stop(GONE)
            if self._stopper.reason:
                seconds = GRACE_SECONDS if self._stopper.is_urgent else HAND_IN_SECONDS
                until = min(until, time.monotonic() + seconds)
        _kill_all_children()
        os._exit(EXIT_ENDED)


class _Told:
    """The runner's output: what is under way, and the failures that leave no doubt. See `fryer.outputs.Output`."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse

    def start(self, info: RunInfo) -> None:
        """Nothing to say yet."""

    def node(self, node: str, devices: tuple[DeviceInfo, ...]) -> None:
        """Nothing to say yet."""

    def phase(self, node: str, burn: str, seconds: float) -> None:
        """A burn begins."""
        del node, seconds
        self._pulse.at(burn)

    def record(self, node: str, record: Record) -> None:
        """A wrong result, a lost device and a hang are clear failures."""
        del node
        if isinstance(record, Mismatch):
            self._pulse.trouble(f"{record.device}: wrong results in {record.burn} {record.case}")
        elif isinstance(record, Problem) and (record.verdict is Verdict.FAIL or record.code == "deadline"):
            self._pulse.trouble(record.message)

    def reading(self, node: str, device: str, reading: GpuReading) -> None:
        """Readings come with the evidence."""

    def finish(self, result: RunResult) -> None:
        """The evidence says it."""

    def close(self) -> None:
        """Nothing is open."""


def _broken(node: str, message: str, seed: int) -> NodeEvidence:
    problem = Problem(device="", burn="", case="", verdict=Verdict.ERROR, code="crashed", message=message)
    return NodeEvidence(node=node, devices=(), versions=versions(), problems=(problem,), seed=seed)


def _complain(unreadable: Unreadable) -> None:
    print(f"fryer worker: an order can't be read: {unreadable.message}", file=sys.stderr)  # noqa: T201 - kept by the launcher


def _kill_all_children() -> None:
    """Nothing that this worker started outlives it."""
    children: Sequence[psutil.Process] = psutil.Process().children(recursive=True)
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(children, timeout=1.0)
