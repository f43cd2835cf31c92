"""ClusterShell's event loop in a thread of its own: starts one command a node, feeds it, listens to it, and kills it.

Everything in `Loop` but `start`, `ask`, `look`, `join` and `release` runs in that thread, and those are called from one
other thread. What it asks for waits in a deque, and a byte in a pipe wakes the loop: it owes nothing to timers, which
ClusterShell runs on the wall clock.
"""

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ClusterShell.Event import EventHandler
from ClusterShell.Task import task_self, task_terminate
from ClusterShell.Worker.Worker import StreamWorker

from fryer.fleet.beat import BEAT, Beats
from fryer.fleet.orders import Contact, Ended, Message
from fryer.launchers.relay_lines import RelayLines
from fryer.launchers.streams import Cause, NodeLines

log = logging.getLogger(__name__)

FANOUT = 64
"""Workers that are being started at the same time, as ClusterShell's own default: from the start to the Hello. More
would ask an authentication server, and a file system that serves Python, for all nodes at once."""
_WAKE = "wake"
_STDERR = "stderr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a command reaches a node."""

    is_remote: bool
    """Over ssh; else on this machine, whatever the node's name."""
    command: Callable[[str], str]
    """The shell's command line that is the worker of a node."""
    contact: Contact
    fryer: str
    """The controller's own version."""
    info: Mapping[str, object] = field(default_factory=dict)
    """ClusterShell's: ``ssh_options ssh_user ssh_path connect_timeout``."""
    fanout: int = FANOUT
    routes: Callable[[Sequence[str]], Mapping[str, Sequence[str]]] = lambda _: {}
    """By gateway: the nodes that are reached through a relay there."""
    relay: Callable[[str, Sequence[str]], str] | None = None
    """The shell's command line that is the relay of a gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What another thread asks of the loop."""

    text: str = ""
    """For the stdin of all workers."""
    is_stop: bool = False
    """From now on a worker's end is as it was told."""
    is_end: bool = False
    """Close the stdin of all workers; start no more."""
    is_kill: bool = False


@dataclass(slots=True)
class _Node:
    """A node whose worker was started."""

    lines: NodeLines | RelayLines
    worker: Any
    deadline: float
    """For its Hello, `time.monotonic`."""
    is_gone: bool = False
    """Its process is over, or was killed."""


class Loop(EventHandler):  # type: ignore[misc]  # the library has no types
    """The workers of one run. Methods that begin with ``ev_`` are called by ClusterShell."""

    def __init__(self, way: Way, nodes: Sequence[str], say: Callable[[Message], None]) -> None:
        """`say` takes messages from the loop's thread."""
        self._way = way
        self._say = say
        self._behind = dict(way.routes(nodes)) if way.relay else {}
        hidden = {node for behind in self._behind.values() for node in behind}
        self._waiting = deque([*self._behind, *(node for node in nodes if node not in hidden)])
        self._most = len(nodes) + len(self._behind) + 1
        """Commands at the same time at most, and what wakes the loop."""
        self._nodes: dict[str, _Node] = {}
        self._starting: set[str] = set()
        """Those of `_nodes` that have neither said Hello nor ended."""
        self._sent: list[bytes] = []
        """All orders so far: a worker that is started late gets them too."""
        self._is_stopping = False
        self._beats = Beats(time.monotonic())
        self._requests: deque[Request] = deque()
        self._task: Any = None
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._thread = threading.Thread(target=self._run, name="launcher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def ask(self, request: Request) -> None:
        """Have `request` done soon; nothing happens once all workers are gone."""
        self._requests.append(request)
        self.look()

    def look(self) -> None:
        """Wake the loop, which looks at what was asked for and at its deadlines."""
        # Full of wishes to wake: one more changes nothing. Without a reader: the loop is over.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._writer, b"\n")

    def join(self, seconds: float) -> bool:
        """Wait for the end of all workers; whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def release(self) -> None:
        """The last call: no other thread may ask any more."""
        os.close(self._writer)

    def _run(self) -> None:
        # A worker that is gone while orders are written is told as `Ended`; ClusterShell would also warn on stderr.
        logging.getLogger("ClusterShell").setLevel(logging.ERROR)
        why = "its launcher ended"
        try:
            self._run_task()
        except Exception as error:  # noqa: BLE001 - whatever the library throws, the controller hears of every node
            why = f"its launcher broke: {type(error).__name__}: {error}"
        for node in [left for started in self._nodes.values() for left in started.lines.left]:
            self._say(Ended(node=node, code="died", message=f"{node}: {why}"))
        self._forget_waiting()

    def _run_task(self) -> None:
        task = self._task = task_self()
        task.set_default("stdout_msgtree", False)
        task.set_default("stderr_msgtree", False)
        task.set_info("fanout", self._most)  # workers stay: ClusterShell's fan-out would let no more in
        for name, value in self._way.info.items():
            task.set_info(name, value)
        wake = StreamWorker(handler=self, autoclose=True)
        wake.set_reader(_WAKE, self._reader)
        task.schedule(wake)
        self._start_some()
        try:
            task.resume()
        finally:
            task_terminate()

    def _start_some(self) -> None:
        """Start as many as may start at the same time."""
        while self._waiting and len(self._starting) < self._way.fanout:
            name = self._waiting.popleft()
            worker = self._task.shell(
                self._command_of(name),
                nodes=name,
                handler=self,
                stderr=True,
                tree=False,  # its gateways keep one command a channel, so orders would reach one node (1.10.1)
                remote=self._way.is_remote,
            )
            contact = self._way.contact
            deadline = time.monotonic() + contact.connect_seconds + contact.hello_seconds
            self._nodes[name] = _Node(lines=self._lines_of(name), worker=worker, deadline=deadline)
            self._starting.add(name)
            for text in self._sent:
                worker.write(text)

    def _command_of(self, name: str) -> str:
        if name in self._behind and self._way.relay:
            return self._way.relay(name, self._behind[name])
        return self._way.command(name)

    def _lines_of(self, name: str) -> NodeLines | RelayLines:
        if name in self._behind:
            return RelayLines(name, self._behind[name], self._way.fryer)
        return NodeLines(name, self._way.fryer, is_ssh=self._way.is_remote)

    def _forget_waiting(self) -> None:
        """The run is over before their turn came."""
        while self._waiting:
            self._say_all(self._lines_of(self._waiting.popleft()).ends(None, Cause.NOT_STARTED))

    def ev_read(self, worker: Any, node: Any, sname: str, msg: bytes) -> None:
        """A line, of a node or of whoever woke us."""
        del worker
        if sname == _WAKE:
            self._look()
            return
        found = self._nodes[str(node)]
        text = msg.decode("utf-8", "replace")
        if sname == _STDERR:
            found.lines.err(text)
            return
        self._say_all(found.lines.feed(text))
        if found.lines.has_said_hello:
            self._is_started(str(node))
        if found.lines.is_over:
            self._kill(found)

    def ev_hup(self, worker: Any, node: Any, rc: int | None) -> None:
        """The command of a node ended, and all that it printed was read."""
        del worker
        if (found := self._nodes.get(str(node))) is not None:
            self._say_end(found.lines, rc, Cause.STOPPED if self._is_stopping else Cause.BY_ITSELF)

    def ev_close(self, worker: Any, timedout: bool) -> None:
        """A worker of ClusterShell is over, also one that was killed."""
        del timedout
        for name in [str(node) for node in getattr(worker, "nodes", ())]:
            if (found := self._nodes.get(name)) is not None:
                found.is_gone = True
                self._say_end(found.lines, None, Cause.STOPPED if self._is_stopping else Cause.BY_ITSELF)
                self._is_started(name)

    def _is_started(self, name: str) -> None:
        """It takes no place any more among those that are being started."""
        if name in self._starting:
            self._starting.remove(name)
            self._start_some()

    def _look(self) -> None:
        while self._requests:
            self._do(self._requests.popleft())
        now = time.monotonic()
        if self._beats.is_due(now) and not self._is_stopping:
            for node in self._nodes.values():
                if not node.is_gone:
                    node.worker.write(BEAT.encode("ascii"))
        for name in [name for name in self._starting if now > self._nodes[name].deadline]:
            found = self._nodes[name]
            contact = self._way.contact
            self._say_end(found.lines, None, Cause.NO_HELLO, contact.connect_seconds + contact.hello_seconds)
            self._kill(found)

    def _do(self, request: Request) -> None:
        self._is_stopping = self._is_stopping or request.is_stop or request.is_end
        live = [node for node in self._nodes.values() if not node.is_gone]
        if request.text:
            self._sent.append(request.text.encode("ascii"))
            for node in live:
                node.worker.write(self._sent[-1])
        if request.is_end:
            self._forget_waiting()
            for node in live:
                node.worker.set_write_eof()
        if request.is_kill:
            for node in live:
                self._kill(node)

    def _kill(self, node: _Node) -> None:
        """End its command here; over ssh, the worker there sees the end of its orders."""
        if not node.is_gone:
            node.is_gone = True
            node.worker.abort()

    def _say_end(
        self, lines: NodeLines | RelayLines, code: int | None, cause: Cause, seconds: float | None = None
    ) -> None:
        is_failed = cause in (Cause.BY_ITSELF, Cause.NO_HELLO) and not lines.has_said_hello
        if is_failed and isinstance(lines, RelayLines) and (nodes := lines.give_back()):
            log.warning("gateway %s can't be used, its %d nodes are reached directly", lines.node, len(nodes))
            del self._behind[lines.node]
            self._waiting += nodes
            return
        self._say_all(lines.ends(code, cause, seconds))

    def _say_all(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self._say(message)
