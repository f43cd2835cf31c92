"""Our training detectors beside published rules, on captured curves and on made-up ones. Writes the page of the docs.

``python -m bench.detectors``: all of it, about five minutes, into docs/detector-benchmark.md. ``--seeds 2 --print`` for
a look. The seeds are not those on which thresholds were looked at (below 100).
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.detector_curves import Curve, captured
from bench.detector_generator import generated
from bench.detector_scores import LOSS, Said, Score, add, ours, theirs
from watchdog.detectors.training.rivals import RIVALS
from watchdog.detectors.training.watch import SeriesWatch
from watchdog.detectors.training.words import Point

PAGE = Path(__file__).parents[1] / "docs" / "detector-benchmark.md"
FIRST_SEED = 1000
HEADER = """# Detectors of training, measured

<!-- Written by `python -m bench.detectors`. Do not edit: run it again. -->

An *event* is an interval of steps. It is found where something was said within 3 logged points of it, and what was said
is right where it meets an event. *Delay* is the median number of logged points from the first of an event to the first
word. A *false veto* is a step in order that would have been skipped, clipped or stopped. A rule that flags neighbours
within 3 points says one thing. Labels and doubtful spans of the captured curves are in `bench/detector_labels.toml`
with their sources; where SOURCES.md counts spikes without listing them, an offline rule that sees the whole curve
marked them, at 6 robust deviations. That resembles our own rule and favours it: read the made-up curves as well.
"""


@dataclass(slots=True)
class Entrant:
    """A rule that takes part."""

    name: str
    source: str
    judge: Callable[[Curve], tuple[list[Said], list[int]]]
    is_mine: Callable[[Curve], bool]
    """Whether it is meant for this curve."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="made-up curves: so many of each kind")
    parser.add_argument("--print", action="store_true", help="to standard output, not into the docs")
    chosen = parser.parse_args(arguments)
    text = page(captured(), [curve for seed in range(chosen.seeds) for curve in generated(FIRST_SEED + seed)])
    if chosen.print:
        sys.stdout.write(text)
    else:
        PAGE.write_text(text, encoding="utf-8")


def page(real: list[Curve], made_up: list[Curve]) -> str:
    """The whole page."""
    parts = [HEADER]
    for title, curves in (("Captured curves", real), ("Made-up curves", made_up)):
        parts += [
            f"## {title}\n",
            _versus(curves, is_of_loss=True),
            _versus(curves, is_of_loss=False),
            _by_kind(curves),
        ]
    parts.append(_tail(made_up))
    parts.append("## Missed and made up by ours, captured curves\n\n" + _faults(real))
    parts.append("## Cost\n\n" + _cost(made_up))
    return "\n".join(parts)


def _entrants(*, is_of_loss: bool) -> list[Entrant]:
    kinds = (*LOSS, "clean") if is_of_loss else ("drop", "shift")

    def is_mine(curve: Curve) -> bool:
        return curve.kind in kinds

    def of(name: str) -> Callable[[Curve], tuple[list[Said], list[int]]]:
        return lambda curve: theirs(curve, RIVALS[name].rule, "spike" if is_of_loss else curve.kind)

    mine = Entrant("**ours**", "docs/training-detectors.md", ours, is_mine)
    others = [
        Entrant(f"`{name}`", rival.source, of(name), is_mine)
        for name, rival in RIVALS.items()
        if rival.is_of_loss == is_of_loss
    ]
    return [mine, *others]


def _versus(curves: list[Curve], *, is_of_loss: bool) -> str:
    heads = "| rule | source | events | recall | precision | F1 | delay | false alarms / 100,000 clean steps |"
    heads += " false vetoes / 100,000 steps |" if is_of_loss else ""
    title = (
        "Loss and norms: spikes, divergence, numbers that are none" if is_of_loss else "Throughput: drops and shifts"
    )
    lines = [f"### {title}\n", heads, "|" + " --- |" * (heads.count("|") - 1)]
    for entrant in _entrants(is_of_loss=is_of_loss):
        score = Score()
        for curve in curves:
            if entrant.is_mine(curve):
                add(score, curve, *entrant.judge(curve))
        cells = [entrant.name, entrant.source, *_figures(score)]
        if is_of_loss:
            cells.append(_rate(score.false_vetoes, score.points))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _figures(score: Score) -> list[str]:
    return [
        str(score.truths),
        f"{score.recall:.3f}",
        f"{score.precision:.3f}",
        f"{score.f1:.3f}" if score.truths else "-",
        f"{median(score.delays):g}" if score.delays else "-",
        _rate(score.clean_alarms, score.clean_points),
    ]


def _rate(count: int, points: int) -> str:
    return f"{count * 1e5 / points:.1f} ({count} in {points:,})" if points else "-"


def _by_kind(curves: list[Curve]) -> str:
    scores: dict[str, Score] = {}
    for curve in curves:
        add(scores.setdefault(curve.name, Score()), curve, *ours(curve))
    lines = [
        "### Ours, by curve\n",
        "| curve | events | recall | precision | F1 | delay | false alarms / 100,000 clean steps |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [f"| {name} | " + " | ".join(_figures(score)) + " |" for name, score in scores.items()]
    return "\n".join(lines) + "\n"


def _tail(curves: list[Curve]) -> str:
    heavy = [curve for curve in curves if curve.name == "clean-heavy"]
    said = sum(len(ours(curve)[0]) for curve in heavy)
    rate = _rate(said, sum(len(curve.points) for curve in heavy))
    return f"Of clean curves with heavy tails, the tail itself (beyond 4.5 deviations, doubtful above): told {rate}.\n"


def _faults(curves: list[Curve]) -> str:
    score = Score()
    for curve in curves:
        add(score, curve, *ours(curve))
    missed = "\n".join(f"- missed: {each}" for each in score.missed) or "- nothing missed"
    made_up = "\n".join(f"- made up: {each}" for each in score.made_up) or "- nothing made up"
    return f"{missed}\n{made_up}\n"


def _cost(curves: list[Curve]) -> str:
    points = [point for curve in curves if curve.kind == "clean" for point in curve.points][:30_000]
    lines = [
        "Microseconds a step with loss, gradient norm and throughput, one core of the machine that wrote this page.\n",
        "| rule | median | 95th percentile |",
        "| --- | --- | --- |",
    ]
    watch = SeriesWatch()
    timed: list[tuple[str, Callable[[Point], object]]] = [("**ours**, all of loss and throughput", watch.observe)]
    timed += [(f"`{name}`", rival.rule().is_alarm) for name, rival in RIVALS.items()]
    for name, judge in timed:
        seconds = sorted(_seconds(judge, point) for point in points)
        lines.append(f"| {name} | {1e6 * median(seconds):.1f} | {1e6 * seconds[len(seconds) * 95 // 100]:.1f} |")
    return "\n".join(lines) + "\n"


def _seconds(judge: Callable[[Point], object], point: Point) -> float:
    begun = perf_counter()
    judge(point)
    return perf_counter() - begun


if __name__ == "__main__":
    main()
