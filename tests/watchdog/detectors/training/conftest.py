"""Builders of series, so that a test says only what it is about."""

import math
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from watchdog.detectors.training.watch import SeriesWatch, watch_series
from watchdog.detectors.training.words import Point

# The bench is no installed package; its curves and scores are what the captured data are tested with.
sys.path.append(str(Path(__file__).parents[4]))


def series(losses, **others):
    """Points with these losses from step 0 on, and other columns of the same length."""
    return [
        Point(step=step, loss=loss, **{name: values[step] for name, values in others.items()})
        for step, loss in enumerate(losses)
    ]


@pytest.fixture
def calm() -> Callable[..., list[float]]:
    """(count, level, noise, seed) -> a loss that only makes noise."""

    def make(count=600, level=2.5, noise=0.02, seed=0):
        source = random.Random(seed)
        return [level + source.gauss(0, noise) for _ in range(count)]

    return make


@pytest.fixture
def rates() -> Callable[..., list[float]]:
    """(count, level, noise, seed) -> tokens a second."""

    def make(count=1000, level=13800.0, noise=0.005, seed=0):
        source = random.Random(seed)
        return [level * math.exp(source.gauss(0, noise)) for _ in range(count)]

    return make


@pytest.fixture
def found() -> Callable[..., list]:
    """(losses, columns) -> (kind, shape, start, end) of each event."""

    def run(losses, marks=(), reference=(), **others):
        events = watch_series(series(losses, **others), marks, reference=reference)
        return [(event.kind, event.shape, event.start, event.end) for event in events]

    return run


@pytest.fixture
def vetoed() -> Callable[..., list[int]]:
    """losses -> steps at which a guard would have vetoed."""

    def run(losses, **others):
        watch = SeriesWatch()
        steps = []
        for point in series(losses, **others):
            watch.observe(point)
            if watch.is_out:
                steps.append(point.step)
        return steps

    return run
