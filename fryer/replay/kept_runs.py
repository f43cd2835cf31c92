"""Runs as the node daemon keeps them, in its store: the steps that clients told it."""

from collections.abc import Iterator
from pathlib import Path

from fryer.replay.words import Item, Reading, Unreadable
from watchdog.detectors.training.words import Point, RankPoint
from watchdog.store import Store, WatchLog
from watchdog.store.database import FILE_NAME
from watchdog.vocabulary.errors import StoreError
from watchdog.vocabulary.runs import Step

MAGIC = b"SQLite format 3\x00"
_COLUMNS = ("step", "loss", "grad_norm", "seconds", "at_seconds")


def read(path: Path, reading: Reading) -> Iterator[Item]:
    """One rank's steps of each run as points, and those of all its ranks where the store still has several.

    Raises `Unreadable` for a database that is not ours or has no run.
    """
    if path.name != FILE_NAME:
        raise Unreadable(f"it is a database, and Fryer's is called {FILE_NAME}: give the store's folder")
    try:
        log = WatchLog(Store.open_to_read(path.parent))
        runs = log.trainings()
        if not runs:
            raise Unreadable("it is a store in which no training run has told a step")
        reading.columns |= {name: name for name in _COLUMNS}
        for run in runs:
            yield from _run(log, run)
    except StoreError as error:
        raise Unreadable(str(error)) from error


def _run(log: WatchLog, run: str) -> Iterator[Item]:
    newest: tuple[int, int] | None = None
    for step in log.every_step(run):
        # The first rank that tells a step stands for it; a rank that tells a step again has trained it again.
        if newest is None or step.step > newest[0] or step.rank == newest[1]:
            newest = (step.step, step.rank)
            yield run, _point(step)
        if step.seconds is not None:
            yield (
                run,
                RankPoint(
                    rank=step.rank, step=step.step, at_seconds=step.at, seconds=step.seconds, times=dict(step.times)
                ),
            )


def _point(step: Step) -> Point:
    return Point(
        step=step.step,
        at_seconds=step.at,
        loss=step.loss,
        grad_norm=step.grad_norm,
        tokens_per_second=step.tokens / step.seconds if step.tokens and step.seconds else None,
        seconds=step.seconds,
        times=dict(step.times),
        batch=step.batch_id,
    )
