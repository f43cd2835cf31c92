"""Several runs read as one: in the order of their first steps, so that the newest wins where steps were trained again.

Opens nothing itself: it reads logs that are open to be read more than once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from fryer.replay.words import Item, Log, Reading
from watchdog.detectors.training.words import Mark, Point


def joined(logs: Sequence[Log]) -> Log:
    """One log of one run, of all runs in `logs`. Of runs that begin at one step the one given first is the older."""

    def read(reading: Reading) -> Iterator[Item]:
        begins: dict[tuple[int, str], int] = {}
        for number, log in enumerate(logs):
            for name, thing in log.read(reading):
                if (number, name) not in begins:
                    begins[(number, name)] = thing.start if isinstance(thing, Mark) else thing.step
        for number, name in sorted(begins, key=lambda part: begins[part]):
            for each, thing in logs[number].read(Reading()):
                if each == name:
                    yield "", thing

    name = " + ".join(dict.fromkeys(log.name for log in logs))
    return Log(name=name, format=" + ".join(dict.fromkeys(log.format for log in logs)), read=read)


def points_of(logs: Sequence[Log], wanted: str) -> list[Point]:
    """The points of the run called `wanted`: by its name, or by its file's where that has one run without a name."""
    found: list[Point] = []
    for log in logs:
        for name, thing in log.read(Reading()):
            if isinstance(thing, Point) and (name or log.name) == wanted and thing.loss is not None:
                found.append(thing)
        if found:
            break
    # Tokens of each step, not of all so far, are no progress: then steps are compared.
    is_progress = all(
        sooner.tokens < later.tokens for sooner, later in pairwise(found) if sooner.tokens and later.tokens
    )
    return found if is_progress else [replace(point, tokens=None) for point in found]
