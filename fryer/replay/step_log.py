"""Logs with a step a line and its figures by name, as nanoGPT and what came of it print:

iter 110: loss nan, time 440.71ms, mfu 48.31%
step:536/20344 train_loss:3.1415 train_time:995000ms step_avg:1722.05ms
step   100 | loss: 3.52 | norm: 0.31 | dt: 300.12ms | tok/sec: 1,747,626
"""

import re
from collections.abc import Iterable, Iterator

from fryer.replay.columns import Layout, layout_of, unknown
from fryer.replay.points import Maker
from fryer.replay.words import Item, Options, Reading

LINE = re.compile(r"^\s*(?:\[[^\]]*\]:?\s*)?(?:step|iter(?:ation)?|global_step)\s*[:= ]\s*\d", re.IGNORECASE)
_NUMBER = r"[-+]?(?:\d[\d,]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|[-+]?nan|[-+]?inf"
_PAIR = re.compile(rf"([A-Za-z_][\w/.]*)\s*(?:[:=]\s*|\s)({_NUMBER})(ms|s|us)?(?![\w.])", re.IGNORECASE)
_TO_SECONDS = {"ms": 1e-3, "us": 1e-6, "s": 1.0}
_TOTALS = ("train_time", "total_time")
"""Seconds since the start, not of the step."""


def read(lines: Iterable[str], options: Options, reading: Reading) -> Iterator[Item]:
    """Everything in a log. Lines without a known figure, as those of evaluations, are passed over."""
    known: dict[tuple[str, ...], Maker | None] = {}
    closest: tuple[tuple[str, ...], Layout] | None = None
    clock = _Clock()
    for text in lines:
        if not LINE.match(text):
            continue
        cells = clock.step(_cells(text))
        keys = tuple(cells)
        if keys not in known:
            layout = layout_of(keys, {"seconds": "time"} | dict(options.columns))
            is_known = layout.is_known and _is_training(layout)
            closest = closest or (keys, layout)
            known[keys] = Maker(layout) if is_known else None
            for place in layout.numbers if is_known else ():
                reading.columns.setdefault(place.field, place.column)
        maker = known[keys]
        yield from maker.make(list(cells.values())) if maker else ()
    if closest is not None and not reading.columns:
        raise unknown(*closest)


def _is_training(layout: Layout) -> bool:
    """A line with a loss or norm; one with times alone is of an evaluation."""
    return bool(layout.fields & {"loss", "grad_norm"}) or not any("val" in column for column in layout.columns)


def _cells(text: str) -> dict[str, float]:
    """Figures by name, times in seconds; the first of equal names is taken."""
    cells: dict[str, float] = {}
    for match in _PAIR.finditer(text):
        value = float(match[2].replace(",", ""))
        cells.setdefault(match[1], value * _TO_SECONDS.get((match[3] or "s").lower(), 1.0))
    return cells


class _Clock:
    """Seconds of a step, from a log that has those since the start."""

    def __init__(self) -> None:
        self.before: tuple[float, float] | None = None

    def step(self, cells: dict[str, float]) -> dict[str, float]:
        """`cells` with the step's own seconds in place of the total. Totals that go back say nothing."""
        name = next((each for each in _TOTALS if each in cells), None)
        if name is None:
            return cells
        total = cells.pop(name)
        step = next(iter(cells.values()))
        if self.before is not None and step > self.before[0] and total > self.before[1]:
            cells["time"] = (total - self.before[1]) / (step - self.before[0])
        self.before = (step, total)
        return cells
