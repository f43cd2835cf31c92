"""Which checkpoint to go on from, among all tiers, and why not from the others. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from trainer.checkpoints.words import State
from watchdog.vocabulary.errors import FryerError


class Tier(IntEnum):
    """Where a checkpoint is; the smaller, the faster to load."""

    MEMORY = 0
    LOCAL = 1
    DURABLE = 2

    def __str__(self) -> str:
        """``memory``, ``node-local`` or ``durable``."""
        return {Tier.MEMORY: "memory", Tier.LOCAL: "node-local", Tier.DURABLE: "durable"}[self]


class NothingUsable(FryerError):  # noqa: N818 - says what is there
    """There are checkpoints and none of them can be used: a person must look before anything begins anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A checkpoint that may be used."""

    tier: Tier
    step: int
    state: State = State.COMPLETE
    problem: str = ""
    """Why it can't be used, as far as is known; empty: nothing is known against it."""
    path: Path | None = None
    """Of one on a file system."""

    @property
    def name(self) -> str:
        """For a person: ``durable step 400``."""
        return f"{self.tier} step {self.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """One that was passed over."""

    candidate: Candidate
    why: str
    """A clause: ``its manifest was cut off``."""

    def __str__(self) -> str:
        """One sentence."""
        return f"{self.candidate.name} is passed over: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was found."""

    chosen: Candidate | None
    passed: tuple[Passed, ...] = ()
    """Those that would have come before the chosen one, in that order; all, where none was chosen."""


def choose_to_resume(candidates: Sequence[Candidate]) -> Choice:
    """The newest valid one of any tier; at equal steps the fastest. A suspect or bad one is not valid."""
    return _choose(candidates, _why_not_resume)


def choose_to_roll_back(candidates: Sequence[Candidate], *, onset_step: int) -> Choice:
    """The newest trustworthy one before step `onset_step`, where the trouble may have begun: a state at step N has
    step N behind it, so only N < onset_step is clean.

    A durable one must be good. Those in memory and on the node hold the last steps only, too few to prove themselves:
    that they lie before the onset is what speaks for them.
    """
    return _choose(candidates, lambda candidate: _why_not_roll_back(candidate, onset_step))


def resume_or_begin(choice: Choice) -> Candidate | None:
    """The chosen one, or None for a run that has none yet and begins.

    Raises `NothingUsable` where there were some: to begin anew beside them would hide a loss. Half-written ones alone
    are no loss: nothing was ever complete.
    """
    if choice.chosen is not None:
        return choice.chosen
    lost = [passed for passed in choice.passed if passed.candidate.state is not State.WRITING]
    if not lost:
        return None
    reasons = "".join(f"\n  {passed}" for passed in choice.passed)
    raise NothingUsable(
        f"no checkpoint can be used; give the run another directory to begin anew, or repair one:{reasons}"
    )


def _choose(candidates: Sequence[Candidate], why_not: Callable[[Candidate], str]) -> Choice:
    passed: list[Passed] = []
    for candidate in sorted(candidates, key=lambda each: (-each.step, each.tier)):
        why = why_not(candidate)
        if not why:
            return Choice(chosen=candidate, passed=tuple(passed))
        passed.append(Passed(candidate=candidate, why=why))
    return Choice(chosen=None, passed=tuple(passed))


def _why_not_resume(candidate: Candidate) -> str:
    if candidate.problem:
        return candidate.problem
    match candidate.state:
        case State.WRITING:
            return "it is half-written"
        case State.SUSPECT:
            return "it is suspect: something was found that may have begun before it"
        case State.BAD:
            return "it is marked bad"
    return ""


def _why_not_roll_back(candidate: Candidate, onset_step: int) -> str:
    if candidate.step >= onset_step:
        return f"it is not before step {onset_step}, where the trouble may have begun"
    if why := _why_not_resume(candidate):
        return why
    if candidate.tier is Tier.DURABLE and candidate.state is not State.GOOD:
        return f"it is {candidate.state}, not good yet"
    return ""
