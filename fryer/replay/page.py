"""A replay as one self-contained page: curves with what was found, its causes, and what the policy would have done."""

import os
from collections.abc import Iterator, Sequence
from math import isfinite, log10
from pathlib import Path

from fryer.outputs.charts import PALETTE, Chart, Figure
from fryer.outputs.html import check_path
from fryer.outputs.pages import plotly, template
from fryer.replay.judged import File
from fryer.replay.run import Run
from fryer.replay.told import Labels, Told
from watchdog.detectors.training.words import Mark
from watchdog.vocabulary.errors import UsageError
from watchdog.vocabulary.findings import Severity

_TITLES = {
    "loss": "Loss",
    "grad_norm": "Gradient norm",
    "tokens_per_second": "Throughput",
    "seconds": "Seconds a step",
}
_OF_METRIC = {"update_norm": "grad_norm", "loss_scale": "loss"}
"""In whose plot a finding stands whose own metric is not drawn."""
_MOST_MARKS = 400
"""Findings that are shaded in one plot; more hide the curve. All are in the table."""
_WIDE = 30.0
"""A positive figure that spans so many times itself is drawn on a logarithmic axis (ours)."""


def render(files: Sequence[File], told: Sequence[Told]) -> str:
    """The page, complete; equal replays give equal pages."""
    labels = Labels(files)
    runs = [run for file in files for run in file.runs if run.num_points]
    charts = [(labels.run(run), list(_charts(run, [each for each in told if each.run is run]))) for run in runs]
    return template("replay.html").render(
        files=files,
        told=told,
        charts=charts,
        labels=labels,
        num_points=sum(run.num_points for run in runs),
        verdict=_gravest(told),
        figures=[chart.figure for _, group in charts for chart in group],
        plotly=plotly(),
    )


def write_page(files: Sequence[File], told: Sequence[Told], path: Path) -> None:
    """Write the page to `path`, whole or not at all; raises `UsageError` when it can't be written there."""
    check_path(path)
    part = path.with_name(f".{path.name[:200]}.{os.getpid()}.part")
    try:
        part.write_bytes(render(files, told).encode(errors="backslashreplace"))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"can't write the page to {path}: {error.strerror}; name a file that you may write") from error


def _gravest(told: Sequence[Told]) -> str:
    gravest = max((each.finding.severity for each in told), default=Severity.OK)
    return "PASS" if gravest is Severity.OK else gravest.name


def _charts(run: Run, told: Sequence[Told]) -> Iterator[Chart]:
    for metric, line in run.lines.items():
        if not line.x:
            continue
        own = [each for each in told if _OF_METRIC.get(each.finding.metric, each.finding.metric) == metric]
        if metric == "seconds" and run.counts["tokens_per_second"] == run.counts["seconds"]:
            continue
        note = "thinned, with extremes kept" if line.every > 1 else ""
        if len(own) > _MOST_MARKS:
            note += f"{'; ' if note else ''}the first {_MOST_MARKS} of {len(own)} findings are shaded"
        yield Chart(
            key=f"{run.file} {run.name} {metric}",
            title=_TITLES[metric],
            note=note,
            figure=_figure(run, metric, own[:_MOST_MARKS]),
        )


def _figure(run: Run, metric: str, told: Sequence[Told]) -> Figure:
    line = run.lines[metric]
    traces: list[dict[str, object]] = [_trace("trained", line.x, line.y, PALETTE[0], 1.2)]
    for x, y in run.older.get(metric, ()):
        traces.append(_trace("before it went back", x, y, PALETTE[7], 0.8))
    known = dict(zip(line.x, line.y, strict=True))
    for severity, colour in ((Severity.WARN, PALETTE[5]), (Severity.FAIL, PALETTE[1])):
        those = [each for each in told if each.finding.severity is severity]
        if those:
            traces.append(_points(severity.name, those, known, colour))
    return {
        "data": traces,
        "layout": {
            "xaxis": {"title": {"text": "tokens" if run.is_by_tokens else "step"}},
            "yaxis": {"type": "log" if _is_wide(line.y) else "linear"},
            "shapes": [*map(_band, told), *(_rule(mark) for mark in run.marks[:_MOST_MARKS])],
            "hovermode": "closest",
        },
    }


def _trace(name: str, x: Sequence[int], y: Sequence[float], colour: str, width: float) -> dict[str, object]:
    values = [value if isfinite(value) else None for value in y]
    return {
        # Not scattergl: a page must open where there is no WebGL, and a line has at most some thousand points.
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(x),
        "y": values,
        "line": {"color": colour, "width": width},
    }


def _points(name: str, told: Sequence[Told], known: dict[int, float], colour: str) -> dict[str, object]:
    """A dot on the curve where each finding starts, with its words on hover."""
    places = sorted(known)
    y = [known.get(each.finding.start, _nearest(known, places, each.finding.start)) for each in told]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [each.finding.start for each in told],
        "y": [value if isfinite(value) else None for value in y],
        "text": [f"{each.finding.kind} ({each.finding.shape}): {each.finding.message}" for each in told],
        "hoverinfo": "text+x",
        "marker": {"color": colour, "size": 8, "symbol": "triangle-down"},
    }


def _nearest(known: dict[int, float], places: Sequence[int], step: int) -> float:
    return known[min(places, key=lambda place: abs(place - step))]


def _band(told: Told) -> dict[str, object]:
    colour = PALETTE[1] if told.finding.severity is Severity.FAIL else PALETTE[5]
    return {
        "type": "rect",
        "xref": "x",
        "yref": "paper",
        "x0": told.finding.onset,
        "x1": told.end,
        "y0": 0,
        "y1": 1,
        "fillcolor": colour,
        "opacity": 0.18,
        "line": {"color": colour, "width": 1},
        "layer": "below",
    }


def _rule(mark: Mark) -> dict[str, object]:
    """A planned event: a dashed line."""
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": mark.start,
        "x1": mark.start,
        "y0": 0,
        "y1": 1,
        "line": {"color": "muted", "width": 1, "dash": "dot"},
    }


def _is_wide(values: Sequence[float]) -> bool:
    finite = [value for value in values if isfinite(value)]
    return bool(finite) and min(finite) > 0 and log10(max(finite)) - log10(min(finite)) > log10(_WIDE)
