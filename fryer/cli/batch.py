"""How a run asks Slurm for a job, and ``fryer run --batch``, which only submits it. Not a command."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fryer.cli.fleet import FleetOptions
    from fryer.launchers.slurm_cluster import SlurmOptions


def slurm_options_of(
    names: Sequence[str | None], time: str | None, wait: str, words: str, program: str | None, is_exclusive: bool
) -> SlurmOptions:
    """How a job is asked for; raises `UsageError`. `names`: partition, reservation, account, quality of service."""
    from fryer.launchers.slurm_cluster import SlurmOptions
    from fryer.launchers.slurm_time import parse_limit
    from watchdog.vocabulary.units import parse_duration

    try:
        extra = tuple(shlex.split(words))
    except ValueError as error:
        raise UsageError(f"--slurm-options {words!r} can't be read: {error}") from error
    try:
        wait_seconds = parse_duration(wait)
    except UsageError as error:
        raise UsageError(f"--wait: {error}") from error
    partition, reservation, account, qos = names
    return SlurmOptions(
        partition=partition,
        reservation=reservation,
        account=account,
        qos=qos,
        time_seconds=parse_limit(time) if time else None,
        wait_seconds=wait_seconds,
        is_exclusive=is_exclusive,
        extra=extra,
        program=program,
    )


def submit_run(fleet: FleetOptions | None, arguments: Sequence[str], *, has_page: bool) -> None:
    """Submit this same command without ``--batch``; raises `UsageError` where that makes no sense."""
    import os

    from fryer.launchers.slurm_batch import submit

    if fleet is None or fleet.scenario is not None or fleet.launcher not in ("auto", "slurm"):
        raise UsageError("--batch submits a run over nodes of a Slurm cluster: leave it out, or name such nodes")
    if job := os.environ.get("SLURM_JOB_ID"):
        raise UsageError(f"this is Slurm job {job} already: leave out --batch, and the run goes over its nodes")
    words = [word for word in arguments if word != "--batch"]
    done = submit(fleet.nodes, fleet.slurm, words, Path.cwd(), has_page=has_page)
    for why in done.unusable:
        print(f"fryer: the job does without {why}", file=sys.stderr)
    print(f"Submitted batch job {done.job}")
    page = f", {done.page} (page)" if done.page else ""
    print(f"results: {done.out}, {done.err} (progress){page}; and fryer history", file=sys.stderr)
    print(
        f"to see it: squeue --job {done.job}; to end it early and have it judged: scancel --batch --signal=TERM "
        f"{done.job}",
        file=sys.stderr,
    )
