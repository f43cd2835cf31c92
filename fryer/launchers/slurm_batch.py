"""A run as a batch job: for a login node whose session may end before the nodes are free, or before the run is over.

The job takes the nodes whole, as `fryer.launchers.slurm` does by salloc; its script is the same ``fryer run``, which
finds itself inside an allocation. It survives whoever submitted it, and Slurm keeps its exit code.

A minute before its time limit Slurm tells the script to stop (``--signal=B:TERM``), and what was measured is judged.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fryer.launchers.slurm_cluster import (
    ASK_SECONDS,
    SlurmOptions,
    check_options,
    clean_environment,
    gpus_of,
    job_options,
    node_facts,
    require,
)
from watchdog.vocabulary.errors import SourceFailed, UsageError

JOB_NAME = "fryer"
STOP_SECONDS = 90
"""Before the time limit: a run hands in within 30 s (`fryer.fleet.worker.HAND_IN_SECONDS`), and then is judged and
written; Slurm may be late by up to 60 s (sbatch(1), --signal)."""
_ALONE = """#!/bin/sh
exec {command}
"""
_BEHIND_A_SHELL = """#!/bin/sh
trap 'trap "" TERM; kill -TERM 0' TERM
(trap "" TERM; {command}) &
child=$!
wait "$child"; code=$?
while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done
exit "$code"
"""
"""Of a program in words of a shell, which can't take the shell's place: Slurm signals the shell alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A job that Slurm took."""

    job: str
    out: Path
    """What the run prints on stdout: the table, or JSON."""
    err: Path
    """Its progress, and what went wrong."""
    page: Path | None
    """The report; None: where the words said."""
    unusable: tuple[str, ...]
    """Nodes that the job does without, each with why; the run's verdict on them is ERROR."""


def submit(
    nodes: Sequence[str], options: SlurmOptions, words: Sequence[str], directory: Path, *, has_page: bool
) -> Submitted:
    """Have Slurm run ``fryer`` with `words` on `nodes`; its files come into `directory`, which all nodes must see.

    `has_page`: `words` say where the report goes; else it comes into `directory` too.

    Raises `UsageError` without sbatch, where no node is usable, and for what Slurm refuses; `SourceFailed` where
    slurmctld does not answer.
    """
    require("sbatch", "scontrol", "srun", "squeue", "scancel")
    facts = node_facts(nodes)
    unusable = tuple(why for node in nodes if (why := facts[node].why_not(is_allocated=False)))
    usable = [facts[node] for node in nodes if not facts[node].why_not(is_allocated=False)]
    if not usable:
        raise UsageError(f"Slurm can start nothing on any of these nodes: {unusable[0]}")
    names = [each.name for each in usable]
    check_options(options, names)
    command = sbatch_command(options, names, gpus_of(usable, options), directory)
    job = _ask(command, batch_script(words, options.program, has_page=has_page))
    return Submitted(
        job=job,
        out=directory / f"fryer-{job}.out",
        err=directory / f"fryer-{job}.err",
        page=None if has_page else directory / f"fryer-{job}.html",
        unusable=unusable,
    )


def sbatch_command(options: SlurmOptions, nodes: Sequence[str], num_gpus: int, directory: Path) -> list[str]:
    """The command that submits a script on its stdin."""
    files = str(directory).replace("%", "%%") + "/fryer-%j"
    return [
        *("sbatch", "--parsable", *job_options(options, nodes, num_gpus, JOB_NAME)),
        *(f"--chdir={directory}", f"--output={files}.out", f"--error={files}.err"),
        *("--no-requeue", f"--signal=B:TERM@{STOP_SECONDS}", *options.extra),
    ]


def batch_script(words: Sequence[str], program: str | None, *, has_page: bool) -> str:
    """The job's script."""
    rest = shlex.join(words) + ("" if has_page else ' --report "fryer-$SLURM_JOB_ID.html"')
    if program is None:
        return _ALONE.format(command=f"{shlex.join([sys.executable, '-m', 'fryer'])} {rest}")
    return _BEHIND_A_SHELL.format(command=f"{program} {rest}")


def _ask(command: Sequence[str], script: str) -> str:
    environment = clean_environment({"LC_ALL": "C"}, is_inside=False)
    try:
        done = subprocess.run(
            command, input=script, capture_output=True, text=True, timeout=ASK_SECONDS, check=False, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise SourceFailed(
            f"sbatch gave no answer within {ASK_SECONDS:g} s; see squeue --me before trying again"
        ) from error
    except OSError as error:
        raise UsageError(f"sbatch can't be run: {error}") from error
    found = re.match(r"(\d+)", done.stdout)
    if done.returncode != 0 or found is None:
        raise UsageError(f"sbatch took no job: {' '.join((done.stderr or done.stdout).split())[-400:]}")
    return found[1]
