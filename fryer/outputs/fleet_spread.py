"""How a fleet's figures of one test are distributed: a small histogram, and the names of those far below. Pure."""

from collections import Counter
from dataclasses import dataclass
from html import escape
from math import sqrt
from statistics import median

from markupsafe import Markup

from fryer.outputs.fleet_figures import Column, FleetFigures
from fryer.outputs.fleet_heat import show_deviation
from fryer.outputs.fleet_summary import listed
from fryer.outputs.wording import show_rate

_WIDTH, _HEIGHT, _BASE = 420, 96, 74
_NUM_BARS = 60
_MOST_NAMED = 8
_LEAST_LOW, _LEAST_HIGH = 0.95, 1.03
"""Ratios that every histogram shows, so that healthy scatter looks as small as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """One test over the fleet."""

    title: str
    summary: str
    """``1,953 nodes, median 729 TFLOP/s, half of them within 0.2 %``."""
    outliers: str
    """``node003 -18 % (gpu3), node019 -44 %``; empty where there are none."""
    picture: Markup


def spreads_of(figures: FleetFigures) -> list[Spread]:
    """One a test in which at least two nodes gave a figure; those with outliers first, else in the order of the run."""
    made = [_spread(figures, column) for column in range(len(figures.tests))]
    return sorted((spread for spread in made if spread is not None), key=lambda spread: not spread.outliers)


def _spread(figures: FleetFigures, column: int) -> Spread | None:
    test = figures.tests[column]
    cells = [row.cells[column] for row in figures.rows]
    ratios = [cell.ratio for cell in cells if cell is not None and cell.ratio is not None]
    if len(ratios) < 2:
        return None
    outliers = figures.outliers(column)
    names = [_name(figures, row.node, column) for row in outliers[: _MOST_NAMED + 1]]
    more = [""] * (len(outliers) - len(names))
    far = {ratio for row in outliers if (cell := row.cells[column]) and (ratio := cell.ratio) is not None}
    middle = median(ratios)
    scatter = median(abs(ratio - middle) for ratio in ratios)
    return Spread(
        title=test.title,
        summary=f"{len(ratios):,} nodes, the worst device of each; median of all "
        f"{show_rate(figures.medians[column], test.metric, test.case)}, half of the nodes within {scatter:.1%} of "
        f"their own median",
        outliers=listed([*names, *more], _MOST_NAMED),
        picture=_picture(ratios, far, test),
    )


def _name(figures: FleetFigures, node: str, column: int) -> str:
    cell = next(row.cells[column] for row in figures.rows if row.node == node)
    assert cell is not None
    assert cell.ratio is not None
    return f"{node} {show_deviation(cell.ratio)} %{f' ({cell.device})' if cell.device else ''}"


def _picture(ratios: list[float], far: set[float], test: Column) -> Markup:
    """Bars of equal width; their heights grow with the root of the number, so that a single node is seen."""
    low, high = min(_LEAST_LOW, *ratios), max(_LEAST_HIGH, *ratios)
    width = (high - low) / _NUM_BARS
    bins = Counter(min(_NUM_BARS - 1, int((ratio - low) / width)) for ratio in ratios)
    bad = {min(_NUM_BARS - 1, int((ratio - low) / width)) for ratio in far}
    most = sqrt(max(bins.values()))
    step = _WIDTH / _NUM_BARS
    bars = [
        f'<rect class="{"far" if place in bad else "near"}" x="{place * step:.1f}" width="{step - 1:.1f}" '
        f'y="{_BASE - (height := max(3.0, sqrt(number) / most * (_BASE - 6))):.1f}" height="{height:.1f}">'
        f"<title>{_range_words(low + place * width, low + (place + 1) * width)}: {number:,}</title></rect>"
        for place, number in sorted(bins.items())
    ]
    zero = (1.0 - low) / (high - low) * _WIDTH
    label = f"distribution of {escape(test.title)}"
    parts = [
        f'<svg class="spread" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">',
        f'<line x1="0" x2="{_WIDTH}" y1="{_BASE}" y2="{_BASE}"/>',
        f'<line class="median" x1="{zero:.1f}" x2="{zero:.1f}" y1="2" y2="{_BASE + 4}"/>',
        *bars,
        f'<text x="0" y="{_HEIGHT - 6}">{(low - 1) * 100:+.0f} %</text>',
        f'<text x="{_WIDTH}" y="{_HEIGHT - 6}" text-anchor="end">{(high - 1) * 100:+.0f} %</text>',
    ]
    if 60 < zero < _WIDTH - 60:
        parts.append(f'<text x="{zero:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">median</text>')
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - all words are escaped


def _range_words(low: float, high: float) -> str:
    return f"{(low - 1) * 100:+.1f} to {(high - 1) * 100:+.1f} %"
