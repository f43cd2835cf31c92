"""What srun and salloc print, taken apart. Pure: lines in, words out.

srun carries the output of all tasks on one stream. With ``--label`` each line says whose it is::

    2: {"schema":"fryer/worker",...}

It cuts lines of over `LINE_BYTES` bytes, and sometimes a shorter one where two of its buffers meet, and labels each
fragment as a line of its own; fragments of one task keep their order. Measured with 22.05 and 24.11, four tasks that
wrote 6 MB each at the same time: without labels most lines of 1,025 bytes are mixed with those of other tasks, and few
of 300; with labels every line from 300 to 60,000 bytes can be put together again.
"""

import json
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from fryer.fleet.wire import MARK, MOST_BYTES

LINE_BYTES = 1024
"""MAX_MSG_LEN of Slurm's src/common/slurm_protocol_defs.h: what one message of a task's output holds."""
PIECE_BYTES = 900
"""Of a worker's lines over srun, which then are whole nearly always; the rest is put together by `Joiner`."""
OUT_OF_MEMORY = "Out Of Memory"

_LABEL = re.compile(r"\s*(\d+): (.*)", re.DOTALL)
_LAUNCHING = re.compile(r"srun: launching (?:StepId=)?(\S+) on host (\S+), \d+ tasks?: (\S+)")
_END = re.compile(r"srun: (?:error: )?(?:launch/slurm: )?(?:\w+: )?(\S+): tasks? ([\d,-]+): (.+)")
_NODE_FAILURE = re.compile(r"srun: error: Node failure on (\S+)")
_ALLOCATION = re.compile(r"salloc: (Granted|Pending) job allocation (\d+)")
_EXITED = re.compile(r"Exited with exit code (\d+)")
_OURS = re.compile(r"(srun|salloc): ")
_CHATTER = ("cluster configuration lacks support for cpu binding",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A line of a task."""

    task: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A task is being started on a node."""

    step: str
    """``75.0``."""
    node: str
    task: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEnd:
    """Tasks ended, all in the same way."""

    tasks: tuple[int, ...]
    exit_code: int | None
    """128 and the signal's number where a signal ended it, as a shell has it; None: srun said something else."""
    how: str
    """In Slurm's words: ``Killed``, ``Out Of Memory``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLost:
    """Slurm itself gave nodes up."""

    nodes: str
    """As a Slurm host list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Our job: waiting, or there."""

    job: str
    is_granted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Anything else that srun or salloc say; an `is_error` may explain an end."""

    text: str
    is_error: bool


Said = Labelled | Placed | TaskEnd | NodeLost | Allocation | Remark


def read_stderr(line: str) -> Said:
    """What a line on the stderr of salloc and srun says."""
    if found := _LABEL.fullmatch(line):
        return Labelled(task=int(found[1]), text=found[2])
    if found := _LAUNCHING.match(line):
        return Placed(step=found[1], node=found[2], task=_numbers(found[3])[0])
    if found := _NODE_FAILURE.match(line):
        return NodeLost(nodes=found[1])
    if found := _ALLOCATION.match(line):
        return Allocation(job=found[2], is_granted=found[1] == "Granted")
    if (found := _END.match(line)) and (end := _end_of(found[2], found[3].strip())):
        return end
    is_ours = _OURS.match(line) is not None
    is_error = "error:" in line or "fatal:" in line or not is_ours
    return Remark(text=line.strip(), is_error=is_error and not any(word in line for word in _CHATTER))


def read_stdout(line: str) -> Labelled | None:
    """The task and text of a line on srun's stdout; None for what no task wrote."""
    found = _LABEL.fullmatch(line)
    return Labelled(task=int(found[1]), text=found[2]) if found else None


def _end_of(tasks: str, how: str) -> TaskEnd | None:
    if found := _EXITED.match(how):
        return TaskEnd(tasks=_numbers(tasks), exit_code=int(found[1]), how=how)
    if how == "Completed":
        return TaskEnd(tasks=_numbers(tasks), exit_code=0, how=how)
    if how.startswith(OUT_OF_MEMORY):
        return TaskEnd(tasks=_numbers(tasks), exit_code=128 + signal.SIGKILL, how=how)
    number = _SIGNALS.get(how.removesuffix(" (core dumped)"))
    return TaskEnd(tasks=_numbers(tasks), exit_code=128 + number, how=how) if number else None


def _signals() -> Mapping[str, int]:
    return {text: int(number) for number in signal.Signals if (text := signal.strsignal(number))}


_SIGNALS = _signals()
"""Numbers by the words of strsignal(3), which srun prints."""


def _numbers(text: str) -> tuple[int, ...]:
    """``0-2,5`` as numbers."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (not last or last.isdigit()):
            found += range(int(first), int(last or first) + 1)
    return tuple(found)


class Joiner:
    """Puts lines of one task together again that srun cut. Lines that are not ours pass as they are."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self._num_bytes = 0

    def feed(self, text: str) -> tuple[str, ...]:
        """The lines that are whole with `text`."""
        passed: tuple[str, ...] = ()
        if MARK in text:
            passed = self.rest()  # what came before has lost its end: its reader says so
        elif not self._held:
            return (text,)
        self._held.append(text)
        self._num_bytes += len(text)
        if self._is_whole(text) or self._num_bytes > MOST_BYTES:
            return (*passed, *self.rest())
        return passed

    def rest(self) -> tuple[str, ...]:
        """What is held though it is not whole: no more of it comes."""
        held, self._held, self._num_bytes = self._held, [], 0
        return ("".join(held),) if held else ()

    def _is_whole(self, last: str) -> bool:
        """A fragment may end in a brace as well: only what can be read is whole."""
        if not last.endswith("}"):
            return False
        whole = "".join(self._held)
        try:
            json.loads(whole[whole.find(MARK) :])
        except ValueError:
            return False
        return True
