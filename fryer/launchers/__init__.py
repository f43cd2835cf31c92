"""Starts workers on nodes: on this machine, over ssh, or by Slurm. Each launcher is a `fryer.fleet.hosts.Hosts`.

`choose` says which one serves a set of nodes; it looks at this machine, and starts nothing on any other.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from socket import gethostname

from ClusterShell.NodeSet import NodeSet, NodeSetParseError

from watchdog.vocabulary.errors import UsageError, nearest

AUTO = "auto"
LAUNCHERS = ("local", "ssh", "slurm")
LOCAL = ("localhost", "127.0.0.1", "::1")
SINFO_SECONDS = 10.0
"""A healthy slurmctld answers in milliseconds; Slurm's own MessageTimeout is 10 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A launcher, and why it is the one."""

    launcher: str
    """One of `LAUNCHERS`."""
    why: str
    """``SLURM_JOB_ID is set: inside job 123``."""


def choose(name: str, nodes: Sequence[str], environment: Mapping[str, str] | None = None) -> Choice:
    """The launcher that ``--launcher name`` means for `nodes`; raises `UsageError` for a name that is none.

    ``auto``: local for this machine alone; Slurm inside an allocation, or where Slurm knows all of `nodes`; else ssh.
    Asks ``sinfo``, so it may block up to `SINFO_SECONDS`.
    """
    environment = os.environ if environment is None else environment
    check_name(name)
    if name != AUTO:
        if name == "local" and (others := [node for node in nodes if not is_here(node)]):
            raise UsageError(f"--launcher local starts workers on this machine alone, and {others[0]} is another one")
        return Choice(launcher=name, why="as asked for")
    if all(is_here(node) for node in nodes):
        return Choice(launcher="local", why="this machine is the only node")
    if job := environment.get("SLURM_JOB_ID"):
        return Choice(launcher="slurm", why=f"inside Slurm job {job}")
    known = slurm_nodes(environment)
    if known is None:
        return Choice(launcher="ssh", why="there is no Slurm here that answers")
    strangers = [node for node in nodes if node not in known]
    if strangers:
        return Choice(launcher="ssh", why=f"Slurm does not know {strangers[0]}")
    return Choice(launcher="slurm", why="Slurm knows all of the nodes")


def check_name(name: str) -> None:
    """Raise `UsageError` for a launcher that there is none of."""
    if name not in (AUTO, *LAUNCHERS):
        raise UsageError(f"--launcher: unknown launcher {name!r}{nearest(name, (AUTO, *LAUNCHERS))}")


def is_here(node: str) -> bool:
    """Whether `node` is a name of this machine."""
    own = gethostname()
    return node in (*LOCAL, own, own.partition(".")[0])


def slurm_nodes(environment: Mapping[str, str]) -> frozenset[str] | None:
    """All nodes of the cluster that ``sinfo`` asks; None where there is none, or it does not answer in time."""
    if shutil.which("sinfo", path=environment.get("PATH")) is None:
        return None
    try:
        done = subprocess.run(
            ["sinfo", "--noheader", "--format=%N"],
            capture_output=True,
            text=True,
            timeout=SINFO_SECONDS,
            check=False,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
        )
        return frozenset(NodeSet(",".join(done.stdout.split()))) if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, NodeSetParseError):
        return None
