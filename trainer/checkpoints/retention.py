"""Which durable checkpoints may be deleted. Pure; `removal` deletes them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from trainer.checkpoints.words import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One checkpoint that is there, as far as it matters here."""

    step: int
    state: State
    is_pinned: bool = False
    problem: str = ""
    """Why it can't be used; empty: nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is kept for its own sake."""

    keep_last: int
    """Newest usable ones; at least 1 is kept, whatever this says."""
    keep_every_steps: int = 0
    """Each on this grid; 0: none."""
    stage_ends: Collection[int] = ()
    """Last step of each stage."""


def to_delete(kept: Sequence[Kept], rules: Rules) -> list[int]:
    """Steps of those that may go, oldest first. Never among them: pinned ones, the newest good one, the newest that
    was verified (so it goes only after a newer one is), and one that is still being written.

    Suspect and bad ones stay as evidence until a newer good one is there.
    """
    sound = [each for each in kept if not each.problem]
    usable = [each.step for each in sound if each.state in (State.COMPLETE, State.VERIFIED, State.GOOD)]
    verified = [each.step for each in sound if each.state in (State.VERIFIED, State.GOOD)]
    good = [each.step for each in sound if each.state is State.GOOD]
    safe = {*sorted(usable)[-max(1, rules.keep_last) :], *_newest(verified), *_newest(good)}
    return sorted(each.step for each in kept if _may_go(each, safe, rules, newest_good=max(good, default=-1)))


def _newest(steps: Sequence[int]) -> tuple[int, ...]:
    return (max(steps),) if steps else ()


def _may_go(each: Kept, safe: Collection[int], rules: Rules, *, newest_good: int) -> bool:
    if each.state is State.WRITING or each.is_pinned or each.step in safe:
        return False
    if each.problem or each.state in (State.SUSPECT, State.BAD):
        return each.step < newest_good
    if each.step in rules.stage_ends:
        return False
    return not (rules.keep_every_steps and each.step % rules.keep_every_steps == 0)
