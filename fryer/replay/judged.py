"""Files under the detectors: every run of a file is fed to its own, and sorted first where the file is out of order."""

from dataclasses import dataclass, field

from fryer.replay.run import Judging, Run
from fryer.replay.words import Item, Log, Reading, Unreadable
from watchdog.detectors.training.words import Mark

MOST_SORTED = 2_000_000
"""Points of a file out of order that are sorted, which takes about a gigabyte."""


@dataclass(slots=True)
class File:
    """One file, and what became of it."""

    name: str
    format: str = ""
    reading: Reading = field(default_factory=Reading)
    problem: str = ""
    """Why it can't be read; empty where it was."""
    runs: list[Run] = field(default_factory=list)


def judge_log(log: Log, judging: Judging) -> File:
    """Every run of a file, judged. Raises nothing: a file that can't be read to its end says why."""
    file = File(name=log.name, format=log.format)
    runs: dict[str, Run] = {}
    try:
        for name, thing in log.read(file.reading):
            run = runs.get(name)
            if run is None:
                run = runs[name] = Run(file=log.name, name=name, judging=judging)
            run.take(thing)
        for name, run in runs.items():
            run.finish()
            if run.attempts.is_out_of_order:
                runs[name] = _sorted(log, name, judging)
    except Unreadable as error:
        file.problem = str(error)
        return file
    file.runs = list(runs.values())
    if not any(run.num_points or run.counts for run in file.runs):
        file.problem = "it has no points: every row is without a value"
    return file


def _sorted(log: Log, name: str, judging: Judging) -> Run:
    """A run whose file is out of order, again by step; of rows with one step the last goes before."""
    things: list[Item] = []
    for each, thing in log.read(Reading()):
        if each == name:
            things.append((each, thing))
            if len(things) > MOST_SORTED:
                raise Unreadable("its steps are out of order, and too many to sort here: sort it by step first")
    run = Run(file=log.name, name=name, judging=judging)
    for _, thing in sorted(things, key=_place):
        run.take(thing)
    run.finish()
    return run


def _place(item: Item) -> int:
    thing = item[1]
    return thing.start if isinstance(thing, Mark) else thing.step
