"""What follows a run over nodes, where it was asked for: drains, drains that are lifted, spares. Not a command."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchdog.vocabulary.errors import FryerError

if TYPE_CHECKING:
    from fryer.fleet.spares import Spares
    from fryer.result import RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """What was asked for."""

    has_drain: bool = False
    has_undrain: bool = False
    num_spares: int = 0


def follow(result: RunResult, after: After) -> bool:
    """Do it, and say on stderr what was done; whether it could be done."""
    try:
        _follow(result, after)
    except FryerError as error:
        _say(f"fryer: {error}")
        return False
    return True


def _follow(result: RunResult, after: After) -> None:
    if after.num_spares:
        from fryer.fleet.spares import propose_spares

        _say(*_words(propose_spares(result, after.num_spares)))
    if not (after.has_drain or after.has_undrain):
        return
    from fryer.fleet.drain import Decision, drain_failed, told, undrain_passed
    from watchdog.slurm import Slurm

    if after.has_drain:
        _say(*told(*drain_failed(result, Slurm())))
    if after.has_undrain:
        _say(*told(Decision(), undrain_passed(result, Slurm())))


def _words(proposed: Spares) -> list[str]:
    lines = [f"spares: {', '.join(each.node for each in proposed.spares) or 'none'}; {proposed.why}"]
    lines += [f"  {each.node} {each.pace_ratio:.1%} of the median, by {each.slowest}" for each in proposed.spares]
    return lines


def _say(*lines: str) -> None:
    for line in lines:
        print(line, file=sys.stderr)
