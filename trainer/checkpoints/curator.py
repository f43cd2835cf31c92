"""What becomes of durable checkpoints after they are whole: read back, believed, suspected, deleted. Rank 0 alone.

It is told of each save and each step, and tells each change of state. It never blocks a step on reading or deleting.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from trainer.checkpoints.listing import Listed, list_durable
from trainer.checkpoints.manifest import BadCheckpoint
from trainer.checkpoints.names import WRITING, partial_of, step_of
from trainer.checkpoints.removal import Remover, leftovers, remove
from trainer.checkpoints.retention import Kept, Rules, to_delete
from trainer.checkpoints.states import ALLOWED, NotAllowed, read_status, set_state
from trainer.checkpoints.verify import ReadBack, Verifier, inode_of
from trainer.checkpoints.words import State
from trainer.plan.words import CheckpointPlan
from watchdog.vocabulary.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One change of a checkpoint."""

    step: int
    path: Path
    state: State | None
    """That it has now; None: it was deleted."""
    at: float
    problem: str = ""
    """Why it is bad or suspect, or why a change could not be made."""


class Curator:
    """Of one directory. Errors of the file system are told, never raised: training goes on."""

    def __init__(self, directory: Path, plan: CheckpointPlan, stage_ends: Collection[int]) -> None:
        self._directory = directory
        self._good_after = plan.good_after_steps
        self._rules = Rules(
            keep_last=plan.keep_last, keep_every_steps=plan.keep_every_steps, stage_ends=frozenset(stage_ends)
        )
        self._verifier = Verifier()
        self._remover = Remover()
        self._on_trial: dict[int, Path] = {}
        """Verified ones that are not good yet."""

    def begin(self) -> list[Told]:
        """At the start of a run that has the directory for itself: remove half-written and half-deleted ones, read back
        those that an earlier attempt left unread, and take up the trials of the others."""
        told = []
        for path in leftovers(self._directory):
            partial = partial_of(path.name)
            assert partial is not None
            self._remover.start(path)
            if partial[1] == WRITING:
                told.append(_told(partial[0], path, None, problem="it was half-written"))
        for listed in self._listed():
            if listed.problem:
                continue
            if listed.status.state is State.COMPLETE:
                self._verifier.start(listed.path)
            elif listed.status.state is State.VERIFIED:
                self._on_trial[listed.step] = listed.path
        return told

    def saved(self, path: Path) -> None:
        """A new one has its name: read it back."""
        step = step_of(path.name)
        assert step is not None
        self._on_trial.pop(step, None)  # an earlier one of this step was replaced
        self._verifier.start(path)

    def after_step(self, step: int) -> list[Told]:
        """After each healthy step: what has been read back, what has proved itself, what was deleted."""
        told = self._judge(self._verifier.poll()) + self._promote(step)
        # only these changes, and none of time's, let another one go
        return told + self._delete() if told else told

    def trouble(self, onset_step: int, why: str) -> list[Told]:
        """Something may have begun with step `onset_step`: all from there on are suspect, and no trial goes on."""
        told = []
        for listed in self._listed():
            if listed.step >= onset_step and State.SUSPECT in ALLOWED[listed.status.state]:
                self._on_trial.pop(listed.step, None)
                told.append(self._change(listed.step, listed.path, State.SUSPECT, why))
        return told

    def end(self) -> list[Told]:
        """Wait for all that is being read or removed."""
        told = self._judge(self._verifier.wait()) + self._delete()
        self._remover.wait()
        return told

    def _judge(self, found: list[ReadBack]) -> list[Told]:
        return [self._mark(each) for each in found if each.inode and each.inode == inode_of(each.path)]

    def _mark(self, found: ReadBack) -> Told:
        step = step_of(found.path.name)
        assert step is not None
        if found.problem:
            return self._change(step, found.path, State.BAD, f"read back: {found.problem}")
        told = self._change(step, found.path, State.VERIFIED, "every hash agrees")
        if told.state is State.VERIFIED:
            self._on_trial[step] = found.path
        return told

    def _promote(self, step: int) -> list[Told]:
        told = []
        for tried, path in sorted(self._on_trial.items()):
            if step - tried >= self._good_after:
                del self._on_trial[tried]
                told.append(self._change(tried, path, State.GOOD, f"{step - tried} healthy steps came after it"))
        return told

    def _change(self, step: int, path: Path, state: State, why: str) -> Told:
        try:
            status = set_state(path, state, why=why)
        # marked by a person meanwhile, or deleted by one
        except (NotAllowed, BadCheckpoint, OSError) as error:
            return _told(step, path, _state_of(path), problem=str(error))
        return _told(step, path, status.state, problem=why if state in (State.BAD, State.SUSPECT) else "")

    def _delete(self) -> list[Told]:
        whole = {each.step: each for each in self._listed() if each.status.state is not State.WRITING}
        kept = [
            Kept(step=each.step, state=each.status.state, is_pinned=each.status.is_pinned, problem=each.problem)
            for each in whole.values()
        ]
        return [self._delete_one(whole[step]) for step in to_delete(kept, self._rules)]

    def _delete_one(self, listed: Listed) -> Told:
        try:
            condemned = remove(listed.path)
        except OSError as error:
            return _told(listed.step, listed.path, listed.status.state, problem=f"it can't be deleted ({error})")
        self._on_trial.pop(listed.step, None)
        if condemned is not None:
            self._remover.start(condemned)
        return _told(listed.step, listed.path, None)

    def _listed(self) -> list[Listed]:
        try:
            return list_durable(self._directory)
        except UsageError:
            return []  # the file system is away: nothing can be said, and nothing deleted


def _state_of(path: Path) -> State | None:
    try:
        return read_status(path).state if path.exists() else None
    except BadCheckpoint:
        return State.COMPLETE


def _told(step: int, path: Path, state: State | None, *, problem: str = "") -> Told:
    return Told(step=step, path=path, state=state, at=time.time(), problem=problem)
