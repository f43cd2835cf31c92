"""A node's part in an order to measure collectives: from `Collect` to `Collected`, within the order's deadline.

The worker's side. It loads no torch: it starts a warden that meets the group, then one process a rank, listens to
them, and kills all of them at the end, whatever came. It judges nothing.
"""

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess

import psutil

from fryer.collectives.cases import CollectiveCase, CollectiveRow
from fryer.collectives.entries import take_part, watch_group
from fryer.collectives.notes import (
    Died,
    Ended,
    Joined,
    Lost,
    Measured,
    Meeting,
    Over,
    RankTask,
    Stepped,
    Watching,
)
from fryer.collectives.roll import BROKE, DONE, Patience
from fryer.crew import make_context
from fryer.fleet.orders import Collect, Collected

PROGRESS_SECONDS = 2.0
"""Between two signs of life to the controller."""
_HASTE_SECONDS = 0.5
"""Between two that say different things, at least."""
_GRACE_SECONDS = 1.0
"""For ranks that are done to say so, where the first node ended before they could."""
_LINGER_SECONDS = 5.0
"""How long the first node keeps its store after its own ranks are done, for the others to end."""
_DEAD_SECONDS = 1.0
"""For a process that closed its pipe to be gone."""


def _never() -> bool:
    return False


def run_collect(
    order: Collect,
    node: str,
    on_progress: Callable[[str], None],
    *,
    should_stop: Callable[[], bool] = _never,
    context: ForkServerContext | None = None,
    patience: Patience | None = None,
) -> Collected | None:
    """Take this node's part in `order`; None for a node in no group.

    Blocks up to `order.seconds`. `on_progress` is called from this thread, at least each `PROGRESS_SECONDS`, with what
    is under way. Rows come from the first node of a group only. A group that breaks says why, and which members did
    not come or were lost as this node sees it; rows that were measured before are kept.
    """
    place = next((index for index, group in enumerate(order.groups) if node in group), None)
    if place is None:
        return None
    part = _Part(order, node, place, on_progress, should_stop, context or make_context(), patience or Patience())
    try:
        return part.run()
    finally:
        part.end()


def split_by_algorithm(cases: Sequence[CollectiveCase], *, is_pinnable: bool) -> list[tuple[CollectiveCase, ...]]:
    """Cases that one process can measure: NCCL reads NCCL_ALGO once in its life. gloo knows no algorithms."""
    if not is_pinnable:
        return [tuple(cases)]
    return [tuple(same) for _, same in groupby(cases, key=lambda case: case.algorithm)]


def interface_of(address: str) -> str | None:
    """The network interface that has `address` (or the host of that name); None where none of ours has it."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(address, None)}
    except OSError:
        return None
    for name, entries in psutil.net_if_addrs().items():
        if any(entry.address.partition("%")[0] in found for entry in entries):
            return name
    return None


class _Part:
    """One node's processes, from the meeting to the last rank."""

    def __init__(
        self,
        order: Collect,
        node: str,
        place: int,
        on_progress: Callable[[str], None],
        should_stop: Callable[[], bool],
        context: ForkServerContext,
        patience: Patience,
    ) -> None:
        self._order = order
        self._node = node
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._context = context
        now = time.monotonic()
        self._deadline = now + order.seconds
        reserve = min(patience.reserve_seconds, order.seconds / 4)
        nodes = order.groups[place]
        self._meeting = Meeting(
            key=f"{order.id}/{place}",
            nodes=nodes,
            me=nodes.index(node),
            host=order.addresses.get(nodes[0], nodes[0]),
            port=order.port + place,
            join_seconds=min(order.join_seconds, order.seconds / 2),
            deadline=self._deadline - reserve,
            seconds=order.seconds,
            ranks_per_node=order.ranks_per_node,
            patience=patience,
        )
        self._what = f"waiting for {len(nodes)} nodes"
        self._rows: list[CollectiveRow] = []
        self._processes: dict[Connection, ForkServerProcess] = {}
        self._ranks: dict[Connection, int] = {}
        self._parts: list[tuple[CollectiveCase, ...]] = []
        self._part = 0
        self._joined: Joined | None = None
        self._broken = ""
        self._lost: Lost | None = None
        self._lost_at = 0.0
        self._heard = now
        self._told = 0.0
        self._said = ""
        self._done_at: float | None = None

    def run(self) -> Collected:
        """Until all is measured, or it is clear that it can't be."""
        self._warden = self._start(watch_group, self._meeting)
        while True:
            for connection in wait(list(self._processes), timeout=self._meeting.patience.sign_seconds):
                assert isinstance(connection, Connection)
                if answer := self._receive(connection):
                    return answer
            if answer := self._look_at_clock():
                return answer

    def end(self) -> None:
        """Leave no process behind."""
        for connection, process in self._processes.items():
            process.kill()
            connection.close()
        for process in self._processes.values():
            process.join(_DEAD_SECONDS)  # one in D state outlives this; it is left to the kernel
        self._processes.clear()

    def _start(self, target: Callable[..., None], task: Meeting | RankTask) -> Connection:
        ours, theirs = self._context.Pipe(duplex=True)
        process = self._context.Process(target=target, args=(theirs, task), daemon=True)
        process.start()
        theirs.close()
        self._processes[ours] = process
        return ours

    def _receive(self, connection: Connection) -> Collected | None:
        try:
            note = connection.recv()
        except (EOFError, OSError):
            return self._lost_process(connection)
        match note:
            case Joined():
                self._joined, self._heard = note, time.monotonic()  # it was silent while others came
                is_nccl = note.backend == "nccl"
                self._parts = split_by_algorithm(self._order.cases, is_pinnable=is_nccl)
                self._start_ranks()
            case Watching():
                self._heard = time.monotonic()
            case Stepped():
                self._what = note.what
            case Measured():
                self._rows.append(note.row)
            case Ended():
                return self._ended(connection, note)
            case Lost() if self._meeting.me == 0:
                return self._answer(note.problem, note.missing)
            case Lost():
                self._lost, self._lost_at = note, time.monotonic()
            case Over():
                return self._answer() if self._done_at is not None else None
        return None

    def _ended(self, connection: Connection, note: Ended) -> Collected | None:
        self._drop(connection)
        if note.state != DONE:
            if note.state == BROKE:
                self._broken = self._broken or note.what
            return None  # the warden says what it means for the group
        if self._ranks or self._broken:
            return None
        if self._part + 1 < len(self._parts):
            self._part += 1
            self._start_ranks()
            return None
        self._done_at = time.monotonic()
        return None if self._meeting.me == 0 and len(self._meeting.nodes) > 1 else self._answer()

    def _lost_process(self, connection: Connection) -> Collected | None:
        """Its pipe is closed without a last word."""
        process = self._processes[connection]
        process.join(_DEAD_SECONDS)
        local = self._ranks.get(connection)
        self._drop(connection)
        code = process.exitcode
        if local is None:
            return self._answer(f"the process that watches the group on {self._node} ended with exit code {code}")
        if self._warden in self._processes:
            self._warden.send(Died(local, f"its process ended with exit code {code} during {self._what!r}; see dmesg"))
        return None

    def _drop(self, connection: Connection) -> None:
        self._ranks.pop(connection, None)
        self._processes.pop(connection).join(_DEAD_SECONDS)
        connection.close()

    def _look_at_clock(self) -> Collected | None:
        now = time.monotonic()
        if now - self._told >= (PROGRESS_SECONDS if self._what == self._said else _HASTE_SECONDS):
            self._told, self._said = now, self._what
            self._on_progress(self._what)
        if self._should_stop():
            return self._answer("stopped")
        if self._done_at is not None and now - self._done_at > _LINGER_SECONDS:
            return self._answer()
        if self._lost and now - self._lost_at > _GRACE_SECONDS:
            return self._answer(self._lost.problem, self._lost.missing)
        if now > self._deadline:
            return self._answer(f"the {self._order.seconds:g} s of this measurement were over during {self._what!r}")
        return self._silent_warden(now)

    def _silent_warden(self, now: float) -> Collected | None:
        patience = self._meeting.patience
        allowed = 2 * patience.silence_seconds
        if self._joined is None:
            allowed += self._meeting.join_seconds + patience.silence_seconds
        if now - self._heard <= allowed or self._done_at is not None:
            return None
        first = self._meeting.nodes[0]
        return self._answer(f"{self._node} lost {first}, which answers no more", (first,))

    def _answer(self, problem: str = "", missing: tuple[str, ...] = ()) -> Collected:
        if self._done_at is not None:
            problem, missing = "", ()  # what others lose after the last row is nobody's fault
        return Collected(
            node=self._node,
            order=self._order.id,
            rows=tuple(self._rows),
            problem=self._broken or problem,
            missing=missing,
        )

    def _start_ranks(self) -> None:
        assert self._joined is not None
        counts, me = self._joined.counts, self._meeting.me
        is_nccl = self._joined.backend == "nccl"
        cases = self._parts[self._part]
        for local in range(counts[me]):
            gpu = local if self._order.rail is None else self._order.rail
            task = RankTask(
                meeting=self._meeting,
                backend=self._joined.backend,
                part=self._part,
                is_last_part=self._part + 1 == len(self._parts),
                rank=sum(counts[:me]) + local,
                num_ranks=sum(counts),
                local=local,
                gpu=gpu if is_nccl else None,
                num_threads=max(1, (os.cpu_count() or 1) // counts[me]),
                cases=tuple(replace(case) for case in cases),
                repeats=self._order.repeats,
                environment=self._environment(cases[0].algorithm if is_nccl and cases else None),
            )
            self._ranks[self._start(take_part, task)] = local

    def _environment(self, algorithm: str | None) -> dict[str, str]:
        """The interface that the group meets over, where nobody has named one; the pinned algorithm."""
        found: dict[str, str] = {}
        interface = interface_of(self._order.addresses.get(self._node, self._node))
        if interface and "GLOO_SOCKET_IFNAME" not in os.environ:
            found["GLOO_SOCKET_IFNAME"] = interface
        if interface and "NCCL_SOCKET_IFNAME" not in os.environ:
            found["NCCL_SOCKET_IFNAME"] = f"={interface}"
        if algorithm:
            found["NCCL_ALGO"] = algorithm
        return found
