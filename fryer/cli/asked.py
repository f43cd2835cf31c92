"""What options of ``fryer run`` can't do together, said before anything is started. Not a command."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchdog.vocabulary.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fryer.plan import Plan

OF_THE_PLAN = (
    "nodes",
    "duration",
    "dtypes",
    "burns",
    "simulate",
    "seed",
    "memory",
    "expect",
    "early_stop",
    "collectives",
    "sizes",
)
"""Parameters that an unfinished run has settled: a resumed one takes none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Options that concern what comes beside and after the measurement."""

    launcher: str
    remote_command: str | None
    nccl_json: Path | None
    has_network: bool
    has_drain: bool
    has_undrain: bool
    num_spares: int


def check_asked(asked: Asked, plan: Plan) -> None:
    """Raise `UsageError` for the first that can't be done."""
    from fryer.launchers import check_name

    check_name(asked.launcher)
    _check_remote_command(asked.remote_command)
    _check_sweep_file(asked, plan)
    if asked.num_spares and asked.num_spares >= len(plan.nodes):
        raise UsageError(
            f"--spares {asked.num_spares} of {len(plan.nodes)} leaves no node for the job; "
            f"give {len(plan.nodes) - 1} at most"
        )
    if (asked.has_drain or asked.has_undrain) and plan.scenario is None and shutil.which("scontrol") is None:
        option = "--drain" if asked.has_drain else "--undrain"
        raise UsageError(f"{option} needs Slurm, and there is no scontrol on this machine; leave it out, or install it")


def check_resumed(is_given: Callable[[str], bool], *, keep: bool) -> None:
    """Raise `UsageError` for options that a run which goes on can't take. `is_given`: of a parameter, by its name."""
    given = [f"--{name.replace('_', '-')}" for name in OF_THE_PLAN if is_given(name)]
    given += [] if keep else ["--no-keep"]
    if given:
        raise UsageError(f"--resume goes on as the run began: leave out {_and(given)}")


def _check_remote_command(program: str | None) -> None:
    if program is None:
        return
    try:
        words = shlex.split(program)
    except ValueError as error:
        raise UsageError(f"--remote-command {program!r} can't be read: {error}") from error
    if not words:
        raise UsageError("--remote-command is empty; write what starts Fryer there, for example /opt/fryer/bin/fryer")


def _check_sweep_file(asked: Asked, plan: Plan) -> None:
    if asked.nccl_json is None:
        return
    operations = plan.collectives.operations if plan.collectives else None
    if not asked.has_network or operations == ():
        option = "--collectives none" if asked.has_network else "--no-network"
        raise UsageError(f"--nccl-json writes what is swept, and {option} sweeps nothing; leave out one of them")
    if len(plan.nodes) == 1 and plan.collectives is None:
        raise UsageError("--nccl-json writes what is swept, and of one node nothing is; add --collectives all_reduce")


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
