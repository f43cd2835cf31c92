"""Workers that are one command a node, run and fed by ClusterShell: locally or over ssh, as `Way` says.

ClusterShell's event loop (`fryer.launchers.loop`) runs in a thread of its own. All state of nodes is that thread's:
orders reach it through a pipe, and messages leave it through a queue, so a node that hangs holds up nobody.

    controller ── send ───▶ wake ──▶ ┌──────┐ ──▶ stdin of each worker
                                     │ loop │
    controller ◀─ receive ─ queue ◀─ └──────┘ ◀── stdout, stderr, exit codes
"""

import queue
import resource
import shlex
import sys
import time
from collections.abc import Sequence

from ClusterShell.NodeSet import NodeSet

from fryer.fleet.orders import Contact, Message, Order, Stop
from fryer.fleet.wire import encode
from fryer.launchers.loop import Loop, Request, Way
from watchdog.vocabulary.errors import UsageError

TICK_SECONDS = 0.5
"""Between two looks at the deadlines of Hellos."""
FILES_A_NODE = 4
"""stdin, stdout and stderr of a command, and what starting it takes for a moment."""
OTHER_FILES = 100
CLOSE_SECONDS = 12.0
"""From the end of their orders to the kill: a worker ends within `fryer.fleet.worker.GRACE_SECONDS`."""
JOIN_SECONDS = 5.0
"""For the loop to end, once all its processes were killed."""


def worker_command(node: str, program: str | None, contact: Contact, address: str | None = None) -> str:
    """A shell's command line: the worker of `node`, with the settings of `contact`.

    `program`: words of a shell that start Fryer, ``module load cuda && /opt/fryer/bin/fryer``; None: the path of this
    interpreter, which then takes the place of the shell.
    """
    words = ["worker", "--node", node, *(["--address", address] if address else [])]
    settings = [f"{name}={value}" for name, value in contact.environment.items()]
    if program is None:
        return "exec " + shlex.join(["env", *settings, sys.executable, "-m", "fryer", *words])
    exported = f"export {shlex.join(settings)} && " if settings else ""
    return f"{exported}{program} {shlex.join(words)}"


def relay_command(gateway: str, nodes: Sequence[str], program: str | None, contact: Contact, ssh_options: str) -> str:
    """A shell's command line: the relay of `gateway`, which starts the workers of `nodes` as `worker_command` does."""
    words = ["worker", "--node", gateway, "--relay", str(NodeSet.fromlist(list(nodes)))]
    words += [f"--ssh-options={ssh_options}"] if ssh_options else []
    words += [f"--remote-command={program}"] if program else []
    settings = [f"{name}={value}" for name, value in contact.environment.items()]
    if program is None:
        return "exec " + shlex.join(["env", *settings, sys.executable, "-m", "fryer", *words])
    exported = f"export {shlex.join(settings)} && " if settings else ""
    return f"{exported}{program} {shlex.join(words)}"


class CommandHosts:
    """`fryer.fleet.hosts.Hosts` over one command a node."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._loop: Loop | None = None

    def start(self, nodes: Sequence[str]) -> None:
        """Begin to start one worker a node; returns at once. Called once. Raises `UsageError` where this machine's
        limits don't allow so many."""
        assert self._loop is None, "a launcher starts its workers once"
        _make_room(len(nodes))
        self._loop = Loop(self._way, nodes, self._messages.put)
        self._loop.start()

    def send(self, order: Order) -> None:
        """To all workers that live, also to those that have not said Hello yet."""
        if self._loop is not None:
            text = "".join(f"{line}\n" for line in encode(order))
            self._loop.ask(Request(text=text, is_stop=isinstance(order, Stop)))

    def receive(self, seconds: float) -> Sequence[Message]:
        """What came; waits up to `seconds` for the first."""
        until = self.now() + seconds
        found: list[Message] = []
        while not found:
            left = until - self.now()
            if self._loop is not None:
                self._loop.look()
            try:
                found.append(self._messages.get(timeout=min(max(left, 0.0), TICK_SECONDS)))
            except queue.Empty:
                if left <= 0:
                    return ()
        while not self._messages.empty():
            found.append(self._messages.get())
        return found

    def now(self) -> float:
        """`time.monotonic`."""
        return time.monotonic()

    def close(self) -> None:
        """End all workers by the end of their orders; after `CLOSE_SECONDS` kill what is left. May be called again."""
        if self._loop is None:
            return
        self._loop.ask(Request(is_end=True))
        if not self._loop.join(CLOSE_SECONDS):
            self._loop.ask(Request(is_kill=True))
            self._loop.join(JOIN_SECONDS)
        self._loop.release()
        self._loop = None


def _make_room(num_nodes: int) -> None:
    """Raise this process's own limit of open files to what `num_nodes` take."""
    needed = num_nodes * FILES_A_NODE + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise UsageError(
                f"{num_nodes} nodes take {needed} open files, and this machine allows {hard}: raise the limit "
                f"(ulimit -Hn {needed}), or use fewer nodes at a time"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
