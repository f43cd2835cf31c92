"""Where a run goes on: the newest state of any tier that can be believed, put back. Collective over all ranks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trainer.checkpoints import exchange
from trainer.checkpoints.find import Candidate, Tier, choose_to_resume, resume_or_begin
from trainer.checkpoints.listing import list_durable, lost_latest
from trainer.checkpoints.load import load_durable, problem_of
from trainer.checkpoints.local import LocalTier
from trainer.checkpoints.words import Header, Layout
from trainer.device.device import Device
from trainer.model.built import Built
from watchdog.vocabulary.errors import FryerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """What was found."""

    header: Header | None
    """Of the state that was put back; None: the run begins."""
    origin: str = ""
    """Its name."""
    passed: tuple[str, ...] = ()
    """Those passed over, a sentence each."""


def resume(
    directory: Path,
    local: LocalTier | None,
    built: Built,
    device: Device,
    layout: Layout,
    *,
    before: Callable[[int], None],
) -> Resumed:
    """Put back the newest state that can be used; `before` is given its step, and may raise, before anything is loaded.

    Raises `NothingUsable` where there are some and none can be used.
    """
    candidates = _candidates(directory, local)
    while True:
        choice = choose_to_resume(candidates)
        chosen = resume_or_begin(choice)
        passed = tuple(str(each) for each in choice.passed)
        if chosen is None:
            return Resumed(header=None, passed=passed)
        problem = _read_back(chosen, local)
        if not problem:
            before(chosen.step)
            header = _load(chosen, local, built, device, layout)
            return Resumed(header=header, origin=chosen.name, passed=passed)
        candidates = [replace(each, problem=problem) if each is chosen else each for each in candidates]


def _candidates(directory: Path, local: LocalTier | None) -> list[Candidate]:
    """Of the durable ones rank 0 says what is there; an error of its own ends all ranks."""
    listed: list[Candidate] | str = []
    if exchange.rank() == 0:
        try:
            durable = list_durable(directory)
            lost = lost_latest(directory, durable)
            listed = [each.candidate() for each in durable] + ([lost] if lost else [])
        except FryerError as error:
            listed = str(error)
    found: Sequence[Candidate] | str = exchange.from_first(listed)
    if isinstance(found, str):
        raise FryerError(found)
    steps = local.common_steps() if local else []
    return [*found, *(Candidate(tier=Tier.LOCAL, step=step) for step in steps)]


def _read_back(chosen: Candidate, local: LocalTier | None) -> str:
    if chosen.tier is Tier.LOCAL:
        assert local is not None
        return local.problem_of(chosen.step)
    assert chosen.path is not None
    return problem_of(chosen.path)


def _load(chosen: Candidate, local: LocalTier | None, built: Built, device: Device, layout: Layout) -> Header:
    if chosen.tier is Tier.LOCAL:
        assert local is not None
        return local.restore(chosen.step, built, device)
    assert chosen.path is not None
    return load_durable(chosen.path, built, device, layout)
