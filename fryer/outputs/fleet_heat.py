"""The heat map of a page: a row a node, worst first, a column a test, each cell the distance from the fleet's median.

Every row is written, without a template, since a fleet has 40,000 cells: so the page can be searched, sorted and copied
from. Colours are classes (`fleet.css`): orange below, blue above, which colour-blind people tell apart; each number
stands in its cell too.
"""

from collections.abc import Collection
from html import escape

from markupsafe import Markup

from fryer.outputs.fleet_figures import Cell, Column, FleetFigures, NodeFigures
from fryer.outputs.wording import mark_of, show_rate
from watchdog.vocabulary.verdicts import Verdict

_BELOW = ((-0.25, "h3"), (-0.10, "h2"), (-0.05, "h1"))
"""Of a ratio less one: 5 % is above the scatter of the worst of eight healthy devices (2 % each), 10 % is what a job
notices, 25 % is broken."""
_ABOVE = 0.05


def shade_of(deviation: float) -> str:
    """Class of a cell that lies so far from the median (-0.1: 10 % below it); empty near it."""
    for limit, name in _BELOW:
        if deviation <= limit:
            return name
    return "hi" if deviation >= _ABOVE else ""


def show_deviation(ratio: float) -> str:
    """``-18`` of 0.82: percent."""
    return f"{round((ratio - 1) * 100) + 0:+d}".replace("+0", "0")


def heat_table(figures: FleetFigures, linked: Collection[str]) -> Markup:
    """The table; names in `linked` lead to ``#node-NAME``."""
    rows = "\n".join(_row(row, figures.tests, is_linked=row.node in linked) for row in figures.rows)
    return Markup(f'<table class="heat">\n{_head(figures)}\n<tbody>\n{rows}\n</tbody></table>')  # noqa: S704 - escaped


def _head(figures: FleetFigures) -> str:
    cells = "".join(
        f'<th scope="col"><span>{escape(test.title)}<br><small>{escape(show_rate(middle, test.metric, test.case))}'
        f"</small></span></th>"
        for test, middle in zip(figures.tests, figures.medians, strict=True)
    )
    return f'<thead><tr><th scope="col">node</th><th scope="col">verdict</th>{cells}</tr></thead>'


def _row(row: NodeFigures, tests: tuple[Column, ...], *, is_linked: bool) -> str:
    name = escape(row.node)
    head = f'<a href="#node-{name}">{name}</a>' if is_linked else name
    if row.verdict is Verdict.PASS:
        verdict = f"<td>{mark_of(row.verdict)}</td>"
    else:
        words = escape(", ".join(row.codes[:3]) or row.verdict)
        title = escape(", ".join(row.codes))
        verdict = f'<td class="{row.verdict} verdict" title="{title}">{mark_of(row.verdict)} {words}</td>'
    cells = "".join(_cell(cell, test) for cell, test in zip(row.cells, tests, strict=True))
    return f'<tr class="{row.verdict}"><th scope="row">{head}</th>{verdict}{cells}</tr>'


def _cell(cell: Cell | None, test: Column) -> str:
    if cell is None:
        return '<td class="none">·</td>'
    mark = "" if cell.verdict is Verdict.PASS else mark_of(cell.verdict)
    if cell.ratio is None or cell.value is None:
        return f'<td class="{cell.verdict} marked">{mark}</td>'
    deviation = cell.ratio - 1
    shade = shade_of(deviation)
    if not shade and not mark:
        return f"<td>{show_deviation(cell.ratio)}</td>"
    title = escape(f"{cell.device} {show_rate(cell.value, test.metric, test.case)}".strip())
    kinds = " ".join(kind for kind in (shade, "marked" if mark else "") if kind)
    return f'<td class="{kinds}" title="{title}">{show_deviation(cell.ratio)}{mark}</td>'
