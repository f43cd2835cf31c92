"""Tables with a column a run, as wandb exports them. Pure: which columns are runs, what they hold, and their points."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from fryer.replay.columns import VALUES, Layout, Place, is_free, layout_of
from fryer.replay.points import number, progress
from fryer.replay.words import Item
from watchdog.detectors.training.words import Point

_BOUNDS = re.compile(r"(.*?)(?:__MIN|__MAX)")
_MOST_LOSS = 100.0
"""No loss of a language model is so high, which would be the logarithm of a vocabulary of 10^43; rates are (ours)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """The columns of a wide table."""

    names: Mapping[int, str]
    """Index of a column -> the run's name."""
    metric: str
    """Field that all of them hold."""
    progress: tuple[Place, ...]
    """Step, tokens and time."""
    note: str = ""
    """What was guessed."""


def runs_of(layout: Layout, looked: Sequence[Sequence[str]], wanted: str) -> Runs | None:
    """Which columns are runs; None where it is no wide table. `looked`: its first rows; `wanted`: the field, if named.

    Columns with ``__MIN`` and ``__MAX`` beside them are runs, and so are two or more that are all numbers.
    """
    header = layout.columns
    if not layout.fields & {"step", "tokens"}:
        return None
    bounded = {match[1] for column in header if (match := _BOUNDS.fullmatch(column))}
    named = {index: _metric_of(column) for index, column in enumerate(header)}
    free = [
        index
        for index, column in enumerate(header)
        if not _BOUNDS.fullmatch(column) and (is_free(column) or named[index])
    ]
    found = [index for index in free if header[index] in bounded]
    if not found and (len(free) > 1 or wanted) and all(_is_numeric(looked, index) for index in free):
        found = free
    if not found:
        return None
    known = next((named[index] for index in found if named[index]), "")
    metric = wanted or known or _guessed(looked, found)
    listed = ", ".join(header[index] for index in found[:8])
    note = f"the columns {listed} are taken for runs, and their values for {metric} (else: --wide FIELD)"
    return Runs(
        names={index: _run_name(header[index]) for index in found},
        metric=metric,
        progress=tuple(place for place in layout.numbers if place.field in ("step", "tokens")),
        note="" if wanted or known else note,
    )


def wide_rows(runs: Runs) -> Callable[[Sequence[str]], list[Item]]:
    """Makes the points of a row. Raises ValueError, IndexError or OverflowError for one that is no row of the table."""
    places = {place.field: place.index for place in runs.progress}
    step_index, tokens_index = places.get("step"), places.get("tokens")

    def make(row: Sequence[str]) -> list[Item]:
        tokens = None if tokens_index is None else progress(row[tokens_index])
        step = tokens if step_index is None else progress(row[step_index])
        if step is None:
            return []
        cells = ((name, number(row[index])) for index, name in runs.names.items())
        return [
            (name, Point(step=step, tokens=tokens, **{runs.metric: value}))  # type: ignore[arg-type]  # a field of VALUES
            for name, value in cells
            if value is not None
        ]

    return make


def _metric_of(column: str) -> str:
    """The field in what wandb writes behind a run's name (``run 7 - train/loss``); empty where there is none."""
    _, dash, metric = column.rpartition(" - ")
    fields = [place.field for place in layout_of([metric]).numbers if place.field in VALUES] if dash else []
    return fields[0] if fields else ""


def _run_name(column: str) -> str:
    return column.rpartition(" - ")[0] if _metric_of(column) else column


def _guessed(looked: Sequence[Sequence[str]], columns: Sequence[int]) -> str:
    values = [value for row in looked for index in columns if (value := _cell(row, index)) is not None]
    return "tokens_per_second" if values and median(values) > _MOST_LOSS else "loss"


def _is_numeric(looked: Sequence[Sequence[str]], index: int) -> bool:
    try:
        values = [_cell(row, index) for row in looked]
    except ValueError:
        return False
    return any(value is not None for value in values)


def _cell(row: Sequence[str], index: int) -> float | None:
    return number(row[index]) if index < len(row) else None
