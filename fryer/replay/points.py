"""Points made of the cells of a row, text or number. Pure."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from fryer.replay.columns import Layout
from fryer.replay.words import Item, SourceLosses
from watchdog.detectors.training.words import Point, RankPoint

_NOT_LOGGED = frozenset({"", "none", "null", "-", "n/a", "na"})
_MOST_STEP = 2**63 - 1


def number(cell: Any) -> float | None:
    """A cell as a number, which may be NaN or infinite; None for what was not logged. Raises ValueError for text."""
    if cell is None or isinstance(cell, bool):
        return None
    try:
        return float(cell)
    except (TypeError, ValueError, OverflowError):
        if isinstance(cell, str) and cell.strip().lower() in _NOT_LOGGED:
            return None
        raise ValueError(f"{cell!r} is no number") from None


def progress(cell: Any) -> int | None:
    """A cell as a step or tokens; None for what was not logged. Raises ValueError for what can't be one."""
    if type(cell) is int:
        return cell if -_MOST_STEP <= cell <= _MOST_STEP else None
    try:
        return progress(int(cell)) if isinstance(cell, str) else _whole(cell)
    except ValueError:
        return _whole(cell)


def _whole(cell: Any) -> int | None:
    value = number(cell)
    if value is None:
        return None
    if not isfinite(value) or abs(value) > _MOST_STEP:
        raise ValueError(f"{cell!r} is no step")
    return int(value)


class Maker:
    """Makes the items of one row after another, all of one layout."""

    def __init__(self, layout: Layout) -> None:
        """Of a layout that is known."""
        self.layout = layout
        self.run = layout.texts.get("run")
        self.batch = layout.texts.get("batch")
        self.is_ranked = "rank" in layout.fields
        self.places = tuple(
            (place.field, place.index, place.factor, place.field in ("step", "tokens", "rank"))
            for place in layout.numbers
        )

        plain = not (self.is_ranked or self.batch is not None or layout.sources or layout.times)
        self.floats = tuple((name, index) for name, index, factor, is_whole in self.places if not is_whole)
        steps = [index for name, index, _, _ in self.places if name == "step"]
        has_factor = any(factor != 1.0 for _, _, factor, _ in self.places)
        is_quick = plain and len(steps) == 1 and len(self.floats) + 1 == len(self.places) and not has_factor
        self.quick_step = steps[0] if is_quick else None

    def make(self, cells: Sequence[Any]) -> list[Item]:
        """The point of a row, and its losses by source; nothing for a row that has no value.

        Raises ValueError for a cell that is no number, IndexError for a row that is too short.
        """
        if self.quick_step is None:
            return self._make(cells)
        try:
            # Nearly every row of a long table is a step and plain numbers: this halves what reading one costs.
            values: dict[str, Any] = {name: float(cells[at]) for name, at in self.floats}
            point = Point(step=int(cells[self.quick_step]), **values)
        except (ValueError, TypeError):
            return self._make(cells)
        return [("" if self.run is None else str(cells[self.run]), point)]

    def _make(self, cells: Sequence[Any]) -> list[Item]:
        values: dict[str, Any] = {}
        for name, index, factor, is_whole in self.places:
            value = progress(cells[index]) if is_whole else number(cells[index])
            if value is not None:
                values[name] = value if factor == 1.0 else value * factor
        run = "" if self.run is None else str(cells[self.run])
        step = values.pop("step", values.get("tokens"))
        if step is None:
            return []
        if self.layout.times:
            values["times"] = self._parts(cells, times=True)
        if self.is_ranked:
            return self._ranked(run, step, values)
        if not values.keys() - {"tokens", "at_seconds", "times"}:
            return []
        if self.batch is not None:
            values["batch"] = str(cells[self.batch] or "")
        point: Item = (run, Point(step=step, **values))
        losses = self._parts(cells, times=False) if self.layout.sources else {}
        return [(run, SourceLosses(step=step, losses=losses)), point] if losses else [point]

    def _parts(self, cells: Sequence[Any], *, times: bool) -> dict[str, float]:
        found = {}
        for place in self.layout.times if times else self.layout.sources:
            value = number(cells[place.index])
            if value is not None:
                found[place.field] = value
        return found

    def _ranked(self, run: str, step: int, values: dict[str, Any]) -> list[Item]:
        rank, seconds = values.get("rank"), values.get("seconds")
        if rank is None or seconds is None:
            return []
        at = values.get("at_seconds")
        return [
            (
                run,
                RankPoint(
                    rank=rank,
                    step=step,
                    # A file without times of day: the step orders them as well.
                    at_seconds=float(step) if at is None else at,
                    seconds=seconds,
                    times=values.get("times", {}),
                ),
            )
        ]
