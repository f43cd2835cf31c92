"""Workers by Slurm: one srun starts one on each node, sends every order to all, and carries what they say.

    controller ── orders ──▶ [salloc] ─▶ srun ══▶ all workers
    controller ◀─ messages ─ lines with labels ◀══ each worker

Inside an allocation (SLURM_JOB_ID) it is a step of that job. Outside, salloc takes the nodes whole and gives them back
when srun is over. Either way nothing outlives this process: when it dies, the workers see the end of their orders, then
srun ends, then salloc.

Nodes that Slurm has as down, drained or unknown are ended at once and not asked for, so they hold up nobody. A drained
node can be measured again only in a job that has it already, or over ssh.
"""

import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fryer.fleet.beat import BEAT, Beats
from fryer.fleet.orders import Contact, Ended, Message, Order, Stop
from fryer.fleet.wire import encode
from fryer.launchers.slurm_cluster import (
    NodeFacts,
    SlurmOptions,
    ask,
    check_options,
    clean_environment,
    expand,
    gpus_of,
    node_facts,
    nodes_of_job,
    require,
    salloc_command,
    srun_command,
    why_waiting,
)
from fryer.launchers.slurm_process import ErrLine, Heard, OutLine, Over, SlurmProcess
from fryer.launchers.slurm_words import (
    OUT_OF_MEMORY,
    Allocation,
    Joiner,
    Labelled,
    NodeLost,
    Placed,
    Remark,
    TaskEnd,
    read_stderr,
    read_stdout,
)
from fryer.launchers.streams import Cause, NodeLines
from watchdog.vocabulary.errors import FryerError, SourceFailed

log = logging.getLogger(__name__)

JOB_NAME = "fryer"
TICK_SECONDS = 0.2
SETTLE_SECONDS = 1.0
"""From srun's word of a worker's end to the last line of that worker: they come on different connections."""
CLOSE_SECONDS = 12.0
"""From the end of their orders to the kill: a worker ends within `fryer.fleet.worker.GRACE_SECONDS`."""
KILL_SECONDS = 3.0
"""From one kind of kill to the next."""
ASK_SECONDS = 3.0
"""For what Slurm says while workers are being listened to."""
REMARKS = 20
REMEDY = "see sinfo -R for why Slurm does not give it; a drained node can be measured with --launcher ssh"
"""Where Slurm does not start a worker on a node."""


@dataclass(slots=True)
class _Node:
    """A node on which a worker is started."""

    lines: NodeLines
    joiner: Joiner = field(default_factory=Joiner)
    end: TaskEnd | None = None
    ended_at: float = 0.0
    """When srun said that its task ended; its last lines may still come."""


class SlurmHosts:
    """`fryer.fleet.hosts.Hosts` over Slurm. Its clock stands still while our job waits for its nodes: how long that may
    take is a matter of the options, and eats up no deadline of the run."""

    def __init__(
        self,
        *,
        fryer: str,
        options: SlurmOptions | None = None,
        contact: Contact | None = None,
        say: Callable[[str], None] = log.info,
    ) -> None:
        """`fryer`: the controller's own version. `say` is given sentences for people: a job waits, a job was given."""
        self._fryer = fryer
        self._options = options or SlurmOptions()
        self._contact = contact or Contact()
        self._say = say
        self._process: SlurmProcess | None = None
        self._nodes: dict[str, _Node] = {}
        self._by_task: dict[int, str] = {}
        self._messages: deque[Message] = deque()
        self._remarks: deque[str] = deque(maxlen=REMARKS)
        self._job: str | None = None
        """Ours, once salloc has said it."""
        self._step: str | None = None
        self._began = time.monotonic()
        self._waited = 0.0
        """Seconds in Slurm's queue, when that is over."""
        self._is_waiting = False
        self._launched = 0.0
        """When srun could begin, on our clock."""
        self._is_stopping = False
        self._beats = Beats(self._began)

    def start(self, nodes: Sequence[str]) -> None:
        """Begin to start one worker a node. Asks Slurm of them first: up to 40 s where slurmctld is slow.

        Raises `UsageError` without Slurm's programs, and for a partition, reservation or job that does not fit; and
        `SourceFailed` where slurmctld does not answer.
        """
        assert self._process is None, "a launcher starts its workers once"
        inside = os.environ.get("SLURM_JOB_ID")
        require("scontrol", "srun", "squeue", "scancel", *(() if inside else ("salloc",)))
        usable = self._usable(nodes, inside)
        if not usable:
            return
        names = [facts.name for facts in usable]
        command = srun_command(names, self._options.program, inside)
        if inside is None:
            check_options(self._options, names)
            command = [*salloc_command(self._options, names, gpus_of(usable, self._options), JOB_NAME), *command]
        self._nodes = {name: _Node(lines=NodeLines(name, self._fryer)) for name in names}
        self._began = time.monotonic()
        self._is_waiting = inside is None
        self._launched = self.now()
        environment = clean_environment(self._contact.environment, is_inside=inside is not None)
        self._process = SlurmProcess(command, environment)

    def send(self, order: Order) -> None:
        """To all workers that live, also to those that have not said Hello yet."""
        self._is_stopping = self._is_stopping or isinstance(order, Stop)
        if self._process is not None:
            self._process.send("".join(f"{line}\n" for line in encode(order)))

    def receive(self, seconds: float) -> Sequence[Message]:
        """What came; waits up to `seconds` for the first, and once `2 * ASK_SECONDS` more for why a job waits."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            wait = 0.0 if self._messages else min(TICK_SECONDS, max(0.0, left))
            if self._process is None:
                time.sleep(wait)
            else:
                for heard in self._process.hear(wait):
                    self._take(heard)
                self._look()
            if self._messages or left <= 0:
                found = tuple(self._messages)
                self._messages.clear()
                return found

    def now(self) -> float:
        """`time.monotonic`, without the time in Slurm's queue."""
        return self._began if self._is_waiting else time.monotonic() - self._waited

    def close(self) -> None:
        """End all workers by the end of their orders; after `CLOSE_SECONDS` kill them, our job, and srun. May be called
        again."""
        process, self._process = self._process, None
        if process is None:
            return
        self._is_stopping = True
        process.end_orders()
        if self._is_waiting or not process.wait(CLOSE_SECONDS):
            # SIGKILL for a job would leave its processes Slurm's KillWait (30 s); for a step it is at once
            if self._step is not None:
                self._cancel("--signal=KILL", self._step)
            process.signal(signal.SIGTERM)
            if not process.wait(KILL_SECONDS):
                process.signal(signal.SIGKILL)
                process.wait(KILL_SECONDS)
        if self._job is not None:
            self._cancel("--quiet", self._job)
        process.release(KILL_SECONDS)

    def _usable(self, nodes: Sequence[str], inside: str | None) -> list[NodeFacts]:
        """Those that a worker can be started on; the others are ended."""
        facts = node_facts(nodes)
        held = nodes_of_job(inside) if inside is not None else None
        usable = []
        for node in nodes:
            why = facts[node].why_not(is_allocated=inside is not None)
            if not why and held is not None and node not in held:
                why = f"{node} is not in Slurm job {inside}, which has {held}"
            if why:
                self._messages.append(Ended(node=node, code="unreachable", message=why, remedy=REMEDY))
            else:
                usable.append(facts[node])
        return usable

    def _take(self, heard: Heard) -> None:
        match heard:
            case OutLine(text=text):
                self._take_output(text)
            case ErrLine(text=text):
                self._take_error(text)
            case Over(exit_code=code):
                self._end_all(code)

    def _take_output(self, line: str) -> None:
        found = read_stdout(line)
        node = self._nodes.get(self._by_task.get(found.task, "")) if found else None
        if found is None or node is None:
            self._remarks.append(line)
            return
        for text in node.joiner.feed(found.text):
            self._put(node.lines.out(text))

    def _take_error(self, line: str) -> None:
        match read_stderr(line):
            case Labelled(task=task, text=text):
                if node := self._nodes.get(self._by_task.get(task, "")):
                    node.lines.err(text)
            case Placed(step=step, node=name, task=task):
                self._step = step
                self._by_task[task] = name
            case TaskEnd(tasks=tasks) as end:
                self._note_end([self._by_task.get(task, "") for task in tasks], end)
            case NodeLost(nodes=text):
                self._lose(text)
            case Allocation(job=job, is_granted=is_granted):
                self._note_job(job, is_granted=is_granted)
            case Remark(text=text, is_error=True):
                self._remarks.append(text)

    def _note_job(self, job: str, *, is_granted: bool) -> None:
        self._job = job
        if is_granted:
            self._waited = time.monotonic() - self._began
            self._is_waiting = False
            self._say(f"Slurm gave job {job} with {len(self._nodes)} nodes")
        else:
            seconds = self._options.wait_seconds
            self._say(f"Slurm job {job} waits for {len(self._nodes)} nodes to be free, {seconds:.0f} s at most")

    def _note_end(self, names: Sequence[str], end: TaskEnd) -> None:
        for name in names:
            if (node := self._nodes.get(name)) and node.end is None:
                node.end, node.ended_at = end, time.monotonic()

    def _lose(self, text: str) -> None:
        try:
            names = [name for name in expand(text) if name in self._nodes]
        except SourceFailed:
            names = [name for name in self._nodes if name in text]
        for name in names:
            message = f"{name}: Slurm lost the node and ended its worker; see sinfo -R, and whether the node is up"
            self._end(self._nodes[name], "died", message)

    def _look(self) -> None:
        """At deadlines, and at ends whose last lines have come."""
        now = time.monotonic()
        if self._process is not None and self._beats.is_due(now) and not self._is_stopping:
            self._process.send(BEAT)
        for node in self._nodes.values():
            if node.end is not None and not node.lines.is_over and now - node.ended_at > SETTLE_SECONDS:
                self._settle(node, node.end)
        if self._is_waiting and now - self._began > self._options.wait_seconds:
            self._give_up_waiting()
        seconds = self._contact.connect_seconds + self._contact.hello_seconds
        if not self._is_waiting and self.now() - self._launched > seconds:
            for node in self._nodes.values():
                if not node.lines.has_said_hello:
                    self._put(node.lines.end(None, Cause.NO_HELLO, seconds))

    def _settle(self, node: _Node, end: TaskEnd) -> None:
        for text in node.joiner.rest():
            self._put(node.lines.out(text))
        if end.how.startswith(OUT_OF_MEMORY):
            message = f"{node.lines.node}: its worker was killed for memory: {end.how}; see the job's --mem"
            self._end(node, "died", message, end.exit_code)
        self._put(node.lines.end(end.exit_code, Cause.STOPPED if self._is_stopping else Cause.BY_ITSELF))

    def _give_up_waiting(self) -> None:
        assert self._process is not None
        names = list(self._nodes)
        why = why_waiting(self._job, names, ASK_SECONDS) if self._job else "it said nothing"
        job = f" job {self._job}" if self._job else ""
        seconds = self._options.wait_seconds
        for name, node in self._nodes.items():
            self._end(node, "deadline", f"{name}: Slurm gave{job} no nodes within {seconds:.0f} s: {why}")
        self._process.signal(signal.SIGTERM)
        self._waited = time.monotonic() - self._began
        self._is_waiting = False

    def _end_all(self, exit_code: int) -> None:
        """srun is over, and so are all workers."""
        for node in self._nodes.values():
            if node.end is not None or self._is_stopping:
                self._settle(node, node.end or TaskEnd(tasks=(), exit_code=None, how=""))
                continue
            last = f": {self._remarks[-1]}" if self._remarks else ""
            name = node.lines.node
            if self._is_waiting:
                self._end(node, "unreachable", f"{name}: Slurm gave no nodes{last}", exit_code)
            else:
                how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
                self._end(node, "died", f"{name}: srun {how}, and its worker with it{last}", exit_code)
        self._is_waiting = False

    def _end(self, node: _Node, code: str, message: str, exit_code: int | None = None) -> None:
        if node.lines.is_over:
            return
        node.lines.is_over = True
        stderr = "\n".join([*self._remarks, node.lines.tail]).strip()
        remedy = REMEDY if code == "unreachable" else ""
        self._messages.append(
            Ended(node=node.lines.node, code=code, message=message, stderr=stderr, exit_code=exit_code, remedy=remedy)
        )

    def _put(self, message: Message | None) -> None:
        if message is not None:
            self._messages.append(message)

    @staticmethod
    def _cancel(*arguments: str) -> None:
        try:
            code, _, err = ask("scancel", *arguments, seconds=ASK_SECONDS)
        except FryerError as error:
            log.warning("%s", error)
            return
        if code != 0 and "Invalid job id" not in err and "already completing" not in err:
            log.warning("scancel %s ended with %d: %s", " ".join(arguments), code, err.strip())
