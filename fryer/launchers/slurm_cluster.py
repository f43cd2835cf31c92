"""What a Slurm cluster says of nodes before a run, and the command lines that start workers there.

Text of ``scontrol --oneliner`` is read rather than JSON: 22.05 and 24.11 print the same text, and different JSON.
"""

import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ClusterShell.NodeSet import NodeSet, NodeSetParseError

from fryer.launchers.slurm_words import PIECE_BYTES
from watchdog.slurm import SlurmNode, parse_node
from watchdog.vocabulary.errors import FryerError, SourceFailed, UsageError, nearest

ASK_SECONDS = 10.0
"""Slurm's own MessageTimeout: a healthy slurmctld answers in milliseconds."""
MOST_NODES_BYTES = 120_000
"""Linux gives one argument 128 KiB (MAX_ARG_STRLEN): 2,048 nodes of up to 57 characters."""
_OUT = frozenset(
    {
        "DOWN",
        "DRAIN",
        "DRAINED",
        "DRAINING",
        "ERROR",
        "FAIL",
        "FAILING",
        "FUTURE",
        "INVAL",
        "INVALID_REG",
        "NOT_RESPONDING",
        "NO_RESPOND",
        "UNKNOWN",
    }
)
"""States in which Slurm starts no new job on a node (sinfo(1), NODE STATE CODES)."""
_DEAD = _OUT - {"DRAIN", "DRAINED", "DRAINING", "FAIL", "FAILING"}
"""Those in which a job that has the node already can start nothing there either."""
_IN_USE = frozenset({"ALLOCATED", "MIXED", "COMPLETING"})
_GPUS = re.compile(r"(?:^|,)gpu(?::[^:,()]+)?:(\d+)")
_KEPT = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_TIME_FORMAT")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmOptions:
    """How a job of our own is asked for. Inside an allocation only `program` matters."""

    partition: str | None = None
    reservation: str | None = None
    account: str | None = None
    qos: str | None = None
    time_seconds: float | None = None
    """Limit of the job; None: the partition's. It is what ends the job if this machine dies."""
    wait_seconds: float = 600.0
    """For all nodes to be free at the same time; a batch job waits for ever."""
    is_exclusive: bool = True
    """Nodes whole, with all their memory; else only the GPUs, and others may disturb what is measured."""
    extra: tuple[str, ...] = ()
    """More options of salloc or sbatch, one a word: ``--constraint=h100``."""
    program: str | None = None
    """Words of a shell that start Fryer on a node; None: the path of this interpreter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """A node as Slurm has it."""

    name: str
    slurm: SlurmNode | None
    """None: Slurm does not know it."""
    num_gpus: int = 0

    def why_not(self, *, is_allocated: bool) -> str:
        """Why nothing can be started on it; empty when it can. `is_allocated`: our job has it already."""
        if self.slurm is None:
            return f"Slurm does not know {self.name}; see sinfo -N"
        bad = [state for state in self.slurm.states if state in (_DEAD if is_allocated else _OUT)]
        if not bad:
            return ""
        reason = f": {self.slurm.reason}" if self.slurm.reason else ""
        by = f" ({self.slurm.by})" if self.slurm.by else ""
        return f"{self.name} is {'+'.join(self.slurm.states)} in Slurm{reason}{by}"


def require(*programs: str) -> None:
    """Raise `UsageError` for a program that is not on PATH."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise UsageError(
            f"{', '.join(missing)} can't be found on PATH: install slurm-client, load its module, or give "
            "--launcher ssh"
        )


def ask(*command: str, seconds: float = ASK_SECONDS) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one of Slurm's programs; raises `SourceFailed` where it does not answer."""
    environment = {**os.environ, "LC_ALL": "C", "SLURM_TIME_FORMAT": "standard"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceFailed(
            f"{shlex.join(command)[:200]} gave no answer within {seconds:g} s; is slurmctld up?"
        ) from error
    except OSError as error:
        raise UsageError(f"{command[0]} can't be run: {error}") from error
    return done.returncode, done.stdout, done.stderr


def node_facts(nodes: Sequence[str]) -> dict[str, NodeFacts]:
    """What Slurm says of each of `nodes`; raises `SourceFailed` where slurmctld does not answer."""
    code, out, err = ask("scontrol", "--oneliner", "show", "node", listed(nodes))
    found = read_nodes(out)
    if not found and code != 0 and "not found" not in out + err:
        raise SourceFailed(f"scontrol show node ended with {code}: {' '.join((err or out).split())[-300:]}")
    return {node: found.get(node) or NodeFacts(name=node, slurm=None) for node in nodes}


def read_nodes(text: str) -> dict[str, NodeFacts]:
    """Lines of ``scontrol --oneliner show node``."""
    found = {}
    for line in text.splitlines():
        if name := re.match(r"\s*NodeName=(\S+)", line):
            gres = re.search(r"\bGres=(\S+)", line)
            gpus = sum(int(number) for number in _GPUS.findall(gres[1])) if gres else 0
            found[name[1]] = NodeFacts(name=name[1], slurm=parse_node(name[1], line), num_gpus=gpus)
    return found


def check_options(options: SlurmOptions, nodes: Sequence[str]) -> None:
    """Raise `UsageError` for a partition or reservation that is not there, or does not hold `nodes`."""
    for kind, name in (("partition", options.partition), ("reservation", options.reservation)):
        if name is None:
            continue
        there = _holdings(kind)
        if name not in there:
            known = nearest(name, there) if there else f"; there is no {kind} here"
            raise UsageError(f"--{kind}: Slurm has no {kind} {name!r}{known}")
        outside = [node for node in nodes if node not in there[name]]
        if outside:
            raise UsageError(f"--{kind}: {name} does not hold {NodeSet.fromlist(outside)}; it holds {there[name]}")


def _holdings(kind: str) -> dict[str, NodeSet]:
    """Nodes by partition or reservation."""
    code, out, err = ask("scontrol", "--oneliner", "show", kind)
    if code != 0:
        raise SourceFailed(f"scontrol show {kind} ended with {code}: {' '.join((err or out).split())[-300:]}")
    found = {}
    for line in out.splitlines():
        name = re.match(rf"{kind}Name=(\S+)", line, re.IGNORECASE)
        nodes = re.search(r"\sNodes=(\S+)", line)
        if name:
            found[name[1]] = expand(nodes[1] if nodes else "")
    return found


def nodes_of_job(job: str) -> NodeSet:
    """The nodes of a running job; raises `UsageError` for another."""
    code, out, err = ask("scontrol", "--oneliner", "show", "job", job)
    state = re.search(r"\sJobState=(\S+)", out)
    nodes = re.search(r"\sNodeList=(\S+)", out)
    if code != 0 or state is None or nodes is None:
        raise UsageError(f"SLURM_JOB_ID is {job}, and Slurm says of it: {' '.join((err or out).split())[-200:]}")
    if state[1] not in ("RUNNING", "COMPLETING"):
        raise UsageError(f"SLURM_JOB_ID is {job}, which is {state[1]}: nothing can be started in it")
    return expand(nodes[1])


def why_waiting(job: str, nodes: Sequence[str], seconds: float) -> str:
    """What a job waits for, and which of its nodes are in use; never raises, for it is asked when time is up."""
    try:
        _, out, _ = ask("squeue", "--noheader", f"--job={job}", "--format=%T %r", seconds=seconds)
        _, shown, _ = ask("scontrol", "--oneliner", "show", "node", listed(nodes), seconds=seconds)
        in_use = [
            each.name for each in read_nodes(shown).values() if each.slurm and _IN_USE.intersection(each.slurm.states)
        ]
    except FryerError as error:
        return str(error)
    busy = f"; in use: {NodeSet.fromlist(in_use)}" if in_use else ""
    return f"{' '.join(out.split()) or 'it is gone'}{busy}"


def expand(text: str) -> NodeSet:
    """A Slurm host list as a set; empty for ``(null)``."""
    try:
        return NodeSet("" if text in ("", "(null)") else text)
    except NodeSetParseError as error:
        raise SourceFailed(f"Slurm's list of nodes {text!r:.200} can't be read: {error}") from error


def listed(nodes: Sequence[str]) -> str:
    """Nodes as one argument, one by one: any version of Slurm reads that. Raises `UsageError` when they don't fit."""
    text = ",".join(nodes)
    if len(text) > MOST_NODES_BYTES:
        raise UsageError(
            f"the names of {len(nodes)} nodes have {len(text):,} bytes, and a command takes {MOST_NODES_BYTES:,}: run "
            "over them in parts"
        )
    return text


def salloc_command(options: SlurmOptions, nodes: Sequence[str], num_gpus: int, name: str) -> list[str]:
    """The command that takes `nodes` whole, and gives them back when what it runs is over.

    ``--exclusive`` alone gives no GPUs where Slurm keeps them as a gres, so they are asked for; ``--no-kill``: a node
    that fails takes nobody along.
    """
    return ["salloc", *job_options(options, nodes, num_gpus, name), *options.extra]


def job_options(options: SlurmOptions, nodes: Sequence[str], num_gpus: int, name: str) -> list[str]:
    """Options that salloc and sbatch share."""
    command = [f"--job-name={name}", f"--nodelist={listed(nodes)}", f"--nodes={len(nodes)}"]
    command += [*(["--exclusive", "--mem=0"] if options.is_exclusive else []), "--no-kill"]
    given = {
        "partition": options.partition,
        "reservation": options.reservation,
        "account": options.account,
        "qos": options.qos,
        "time": None if options.time_seconds is None else str(max(1, math.ceil(options.time_seconds / 60))),
        "gres": f"gpu:{num_gpus}" if num_gpus and not _asks_for_gpus(options.extra) else None,
    }
    return [*command, *(f"--{option}={value}" for option, value in given.items() if value is not None)]


def srun_command(nodes: Sequence[str], program: str | None, job: str | None) -> list[str]:
    """The command that starts one worker a node, sends its own stdin to all, and labels what they print.

    ``--wait=0`` and ``--kill-on-bad-exit=0``: the end of one is not the end of the others. ``--verbose``: it then says
    which task is on which node, and when one ends with 0. ``--overlap``: steps of the job that runs us may go on.
    """
    words = ["worker", f"--piece-bytes={PIECE_BYTES}"]
    # the words of `program` are the user's own, for a shell there; ours need none: the worker knows its node from Slurm
    worker = ["sh", "-c", shlex.join(words)] if program else [sys.executable, "-m", "fryer", *words]
    if program:
        worker[-1] = f"{program} {worker[-1]}"
    command = ["srun", *([f"--jobid={job}"] if job else []), f"--nodelist={listed(nodes)}", f"--nodes={len(nodes)}"]
    command += [f"--ntasks={len(nodes)}", "--ntasks-per-node=1", "--overlap", "--label", "--verbose"]
    command += ["--wait=0", "--kill-on-bad-exit=0", "--no-kill", "--input=all", "--mpi=none", "--cpu-bind=none"]
    return [*command, "--export=ALL", *worker]


def clean_environment(settings: Mapping[str, str], *, is_inside: bool) -> dict[str, str]:
    """Ours for salloc and srun, without what the job that runs us would have srun do (``SLURM_GPUS_PER_TASK=1``)."""
    kept = (*_KEPT, "SLURM_JOB_ID", "SLURM_JOBID") if is_inside else _KEPT
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SRUN")) or name in kept}
    return {**ours, **settings}


def gpus_of(facts: Sequence[NodeFacts], options: SlurmOptions) -> int:
    """GPUs that each node is to give; raises `UsageError` where nodes have different numbers of them."""
    counts = Counter(each.num_gpus for each in facts)
    if len(counts) > 1 and not _asks_for_gpus(options.extra):
        kinds = "; ".join(
            f"{NodeSet.fromlist([f.name for f in facts if f.num_gpus == count])}: {count}" for count in sorted(counts)
        )
        raise UsageError(f"Slurm has different numbers of GPUs on these nodes ({kinds}): run over each kind by itself")
    return next(iter(counts), 0)


def _asks_for_gpus(extra: Sequence[str]) -> bool:
    return any(word.startswith(("--gres", "--gpus", "-G")) for word in extra)
