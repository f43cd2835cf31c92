"""Pairs of nodes that measured together: which were slow with whom. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median

from markupsafe import Markup

from fryer.localise import Trial
from fryer.outputs.fleet_heat import shade_of, show_deviation
from fryer.outputs.wording import show_rate
from fryer.records import BYTES
from fryer.result import RunResult

MOST_DRAWN = 128
"""Nodes of a matrix; above, its cells are too small to point at, and the worst pairs are listed."""
MOST_LISTED = 30
_LABEL_PIXELS = 11
"""Height of a name in a matrix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """All that two nodes gave with each other, all GPUs or one rail."""

    nodes: tuple[str, str]
    rail: int | None
    values: tuple[float, ...]
    """Bus bandwidth of each repeat of each trial, bytes per second."""
    ratio: float | None
    """Of their median, to what a healthy pair gives; None where they gave nothing."""
    problem: str
    num_wrong: int

    @property
    def is_bad(self) -> bool:
        """Slow enough to be coloured, broken, or wrong."""
        return self.ratio is None or bool(shade_of(self.ratio - 1) not in ("", "hi") or self.num_wrong or self.problem)

    @property
    def figure(self) -> str:
        """``212 GB/s (205 to 378 GB/s of 5)``."""
        if not self.values:
            return "nothing"
        low, high = show_rate(min(self.values), BYTES), show_rate(max(self.values), BYTES)
        return f"{show_rate(median(self.values), BYTES)} ({low} to {high} of {len(self.values)})"

    @property
    def words(self) -> str:
        """What else is to be said of it."""
        wrong = f"{self.num_wrong:,} wrong elements" if self.num_wrong else ""
        return "; ".join(part for part in (wrong, self.problem) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """All pairs of a run that were measured, worst first."""

    nodes: tuple[str, ...]
    """That were in a pair, in the order of the run."""
    pairs: tuple[Pair, ...]
    expected: float | None
    """What a healthy pair gives, bytes per second."""

    @property
    def is_drawn(self) -> bool:
        """Few enough nodes for a matrix."""
        return len(self.nodes) <= MOST_DRAWN

    @property
    def listed(self) -> tuple[Pair, ...]:
        """Those to tell one by one: the bad ones; of a fleet that is not drawn, the lowest."""
        bad = tuple(pair for pair in self.pairs if pair.is_bad)[:MOST_LISTED]
        return bad or (() if self.is_drawn else self.pairs[:10])


def pairs_of(result: RunResult) -> Pairs | None:
    """The pairs of a run; None where none was measured."""
    network = result.network
    trials = [trial for trial in network.trials if len(trial.nodes) == 2] if network else []
    if network is None or not trials:
        return None
    groups: dict[tuple[str, str, int | None], list[Trial]] = {}
    for trial in trials:
        first, second = sorted(trial.nodes)
        groups.setdefault((first, second, trial.rail), []).append(trial)
    expected = network.expected_bytes_per_second or _typical(trials)
    pairs = [_pair((a, b), rail, group, expected) for (a, b, rail), group in groups.items()]
    pairs.sort(key=lambda pair: (-1.0 if pair.ratio is None else pair.ratio, pair.nodes))
    seen = {node for trial in trials for node in trial.nodes}
    return Pairs(
        nodes=tuple(verdict.node for verdict in result.verdicts if verdict.node in seen),
        pairs=tuple(pairs),
        expected=expected,
    )


def _typical(trials: Sequence[Trial]) -> float | None:
    values = [median(trial.values) for trial in trials if trial.values]
    return median(values) if values else None


def _pair(nodes: tuple[str, str], rail: int | None, trials: Sequence[Trial], expected: float | None) -> Pair:
    values = tuple(value for trial in trials for value in trial.values)
    return Pair(
        nodes=nodes,
        rail=rail,
        values=values,
        ratio=median(values) / expected if values and expected else None,
        problem=next((trial.problem for trial in trials if trial.problem), ""),
        num_wrong=sum(trial.num_wrong for trial in trials),
    )


def pairs_svg(pairs: Pairs, bad: Collection[str]) -> Markup:
    """The matrix of all GPUs together (or of the first rail, where only rails were measured); `bad`: nodes to name."""
    count = len(pairs.nodes)
    side = 20 if count <= 24 else 14 if count <= 64 else 8
    place = {node: index for index, node in enumerate(pairs.nodes)}
    margin = 8 + 7 * max(len(node) for node in pairs.nodes)
    rails = {pair.rail for pair in pairs.pairs}
    rail = None if None in rails else min(rail for rail in rails if rail is not None)
    drawn = [pair for pair in pairs.pairs if pair.rail == rail]
    labelled = _labelled(pairs.nodes, bad, side)
    labels = [
        _label(node, index, side, margin, is_bad=node in bad) for node, index in place.items() if node in labelled
    ]
    rects = [_rect(pair, place[a], place[b], side, margin) for pair in drawn for a, b in (pair.nodes, pair.nodes[::-1])]
    size = margin + count * side + 1
    box = f'viewBox="0 0 {size} {size}" width="{size}" height="{size}"'
    lines = (
        f'<svg class="pairs" {box} role="img" aria-label="bus bandwidth between pairs of nodes">',
        f'<rect class="frame" x="{margin}" y="{margin}" width="{count * side}" height="{count * side}"/>',
        *labels,
        *rects,
        "</svg>",
    )
    return Markup("\n".join(lines))  # noqa: S704 - all names are escaped


def _labelled(nodes: Sequence[str], bad: Collection[str], side: int) -> set[str]:
    """Nodes whose names have room: those of `bad` first, then every eighth, or all where squares are large enough."""
    gap = -(-_LABEL_PIXELS // side)
    taken: list[int] = []
    wanted = [place for place, node in enumerate(nodes) if node in bad]
    for place in [*wanted, *range(0, len(nodes), 1 if gap == 1 else 8)]:
        if all(abs(place - other) >= gap for other in taken):
            taken.append(place)
    return {nodes[place] for place in taken}


def _label(node: str, index: int, side: int, margin: int, *, is_bad: bool) -> str:
    middle = margin + index * side + side / 2
    kind = ' class="bad"' if is_bad else ""
    name = escape(node)
    return (
        f'<text{kind} x="{margin - 4}" y="{middle + 4:g}" text-anchor="end">{name}</text>'
        f'<text{kind} transform="translate({middle + 4:g} {margin - 4}) rotate(-90)">{name}</text>'
    )


def _rect(pair: Pair, row: int, column: int, side: int, margin: int) -> str:
    shade = "broken" if pair.ratio is None else shade_of(pair.ratio - 1) or "ok"
    share = "" if pair.ratio is None else f", {show_deviation(pair.ratio)} %"
    title = escape(f"{'-'.join(pair.nodes)}: {pair.figure}{share} {pair.words}".strip())
    x, y = margin + column * side, margin + row * side
    return f'<rect class="{shade}" x="{x}" y="{y}" width="{side - 1}" height="{side - 1}"><title>{title}</title></rect>'
