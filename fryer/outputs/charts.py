"""What the report plots, as Plotly figures in plain dictionaries: ``{"data": [...], "layout": {...}}``. Pure.

Devices that did not pass are drawn strong and named at the end of their line, the others thin: the eye goes where it
should. Colours that depend on light or dark are left to the page's script, which reads them from its style sheet.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from statistics import median

from fryer.evidence import Measurement, NodeEvidence, NodeVerdict
from fryer.outputs.matrix import PAIRS_BURN
from fryer.outputs.thinning import MOST_POINTS, Line, thin
from fryer.outputs.wording import POWER_BRAKE_BIT, THERMAL_BITS, clock_limits, scale_of
from watchdog.collectors.readings import GpuReading, HostReading
from watchdog.vocabulary.verdicts import Verdict

Figure = dict[str, object]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8C6BB1", "#7F7F7F")
"""Okabe and Ito's colours, which colour-blind people tell apart, less those that vanish on white or on black."""
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_SLOWED = THERMAL_BITS | POWER_BRAKE_BIT
_LOOK_SECONDS = 1.0
"""How long the last reading of a series stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a device is drawn in every plot of its node."""

    colour: str
    dash: str
    is_marked: bool
    """It did not pass, and nearly all others did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One plot, and what stands over and under it."""

    key: str
    """Unique in the page."""
    title: str
    note: str
    """What is shaded, thinned or marked; may be empty."""
    figure: Figure


def styles_of(verdict: NodeVerdict) -> dict[str, Style]:
    """A colour and a dash for each device, strong for those that did not pass."""
    bad = [d.device for d in verdict.devices if d.verdict not in (Verdict.PASS, Verdict.SKIPPED)]
    marked = set(bad) if len(bad) <= max(1, len(verdict.devices) // 2) else set()
    order = [*[d for d in bad if d in marked], *[d.device for d in verdict.devices if d.device not in marked]]
    numbers = {device: number for number, device in enumerate(order)}
    return {
        d.device: Style(
            colour=PALETTE[numbers[d.device] % len(PALETTE)],
            dash=_DASHES[numbers[d.device] // len(PALETTE) % len(_DASHES)],
            is_marked=d.device in marked,
        )
        for d in verdict.devices
    }


def rate_charts(evidence: NodeEvidence, verdict: NodeVerdict, most_points: int = MOST_POINTS) -> list[Chart]:
    """One plot a burn and case, all devices in it; of pairs of devices only the matrix is shown.

    Of each series at most `most_points` are drawn, here and in the other plots.
    """
    styles = styles_of(verdict)
    groups: dict[tuple[str, str, str], list[Measurement]] = {}
    for measurement in evidence.measurements:
        if measurement.burn != PAIRS_BURN and measurement.series:
            groups.setdefault((measurement.burn, measurement.case, measurement.metric), []).append(measurement)
    return [
        _rate_chart(evidence, group, styles, f"{evidence.node}-rate-{number}", most_points)
        for number, group in enumerate(groups.values())
    ]


def _rate_chart(
    evidence: NodeEvidence, group: Sequence[Measurement], styles: Mapping[str, Style], key: str, most_points: int
) -> Chart:
    first = group[0]
    factor, unit = scale_of([p.value for m in group for p in m.series], first.metric, first.case)
    lines = [
        thin(
            m.device,
            [p.at_seconds for p in m.series],
            [p.value / factor if isfinite(p.value) else None for p in m.series],
            most_points,
        )
        for m in group
    ]
    figure = _figure(lines, styles, unit, around=[m.value / factor for m in group])
    wrong = [w for w in evidence.mismatches if (w.burn, w.case) == (first.burn, first.case)]
    notes = [_thinned(lines)]
    if wrong:
        _add_crosses(figure, lines, [(w.device, w.at_seconds) for w in wrong])
        notes.append("✕ a wrong result")
    return Chart(key=key, title=f"{first.burn} {first.case}".rstrip(), figure=figure, note=_joined(notes))


_Field = Callable[[GpuReading], float | None]
_TELEMETRY: tuple[tuple[str, str, _Field], ...] = (
    ("Power", "W", lambda r: r.power_watts),
    ("GPU temperature", "°C", lambda r: r.temperature_celsius),
    ("HBM temperature", "°C", lambda r: r.memory_temperature_celsius),
    ("SM clock", "MHz", lambda r: None if r.sm_clock_hertz is None else r.sm_clock_hertz / 1e6),
)


def telemetry_charts(evidence: NodeEvidence, verdict: NodeVerdict, most_points: int = MOST_POINTS) -> list[Chart]:
    """Power, temperatures and clocks of all GPUs over the whole run; empty where NVML gave none."""
    styles = styles_of(verdict)
    charts = []
    slowed = {device: slowed_spans(readings) for device, readings in evidence.gpu_readings.items()}
    for number, (title, unit, field) in enumerate(_TELEMETRY):
        lines = [
            thin(device, [r.at_seconds for r in readings], [field(r) for r in readings], most_points)
            for device, readings in evidence.gpu_readings.items()
            if any(field(r) is not None for r in readings)
        ]
        if not lines:
            continue
        figure = _figure(lines, styles, unit)
        _add_burns(figure, evidence)
        _add_xids(figure, evidence)
        notes = [_thinned(lines)]
        if unit == "MHz":
            _add_shades(figure, [(span, styles) for span in slowed.items()])
            notes.append(_slowed_words(slowed))
        charts.append(Chart(key=f"{evidence.node}-nvml-{number}", title=title, figure=figure, note=_joined(notes)))
    return charts


_HOST: tuple[tuple[str, Callable[[HostReading], float | None]], ...] = (
    ("waiting for a processor", lambda r: r.pressure_some_ratio),
    ("used by others", lambda r: r.others_ratio),
    ("stolen by the hypervisor", lambda r: r.steal_ratio),
)


def host_charts(evidence: NodeEvidence, most_points: int = MOST_POINTS) -> list[Chart]:
    """What else the host was busy with, in one plot; empty without readings."""
    lines = [
        thin(
            name,
            [r.at_seconds for r in evidence.host_readings],
            [None if (value := field(r)) is None else value * 100 for r in evidence.host_readings],
            most_points,
        )
        for name, field in _HOST
        if any(field(r) is not None for r in evidence.host_readings)
    ]
    if not lines:
        return []
    styles = {line.name: Style(colour=PALETTE[i], dash=_DASHES[i], is_marked=False) for i, line in enumerate(lines)}
    figure = _figure(lines, styles, "% of time", shows_legend=True)
    highest = max((y for line in lines for y in line.y if y is not None), default=0.0)
    _layout(figure)["yaxis"] = {"title": {"text": "% of time"}, "range": [0, max(10.0, highest * 1.1)]}
    _add_burns(figure, evidence)
    return [Chart(key=f"{evidence.node}-host", title="Host pressure", figure=figure, note=_thinned(lines))]


def slowed_spans(readings: Sequence[GpuReading]) -> list[tuple[float, float, str]]:
    """When heat, hardware or the power brake slowed a GPU: start, end (seconds) and the words for it."""
    spans: list[tuple[float, float, str]] = []
    ends = [later.at_seconds for _, later in pairwise(readings)]
    last = [readings[-1].at_seconds + _LOOK_SECONDS] if readings else []
    for reading, end in zip(readings, [*ends, *last], strict=True):
        words = " + ".join(clock_limits((reading.clock_event_reasons or 0) & _SLOWED))
        if not words:
            continue
        if spans and spans[-1][1] == reading.at_seconds and spans[-1][2] == words:
            spans[-1] = (spans[-1][0], end, words)
        else:
            spans.append((reading.at_seconds, end, words))
    return spans


def _slowed_words(slowed: Mapping[str, Sequence[tuple[float, float, str]]], most: int = 6) -> str:
    words = [
        f"{device} {reason} {start:.0f} to {end:.0f} s"
        for device, spans in slowed.items()
        for start, end, reason in spans
    ]
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return f"shaded: {', '.join(words[:most])}{more}" if words else ""


def _figure(
    lines: Sequence[Line],
    styles: Mapping[str, Style],
    unit: str,
    *,
    around: Sequence[float] = (),
    shows_legend: bool = False,
) -> Figure:
    are_marked = any(style.is_marked for style in styles.values())
    ordered = sorted(lines, key=lambda line: line.name in styles and styles[line.name].is_marked)  # strong ones on top
    layout: Figure = {
        "yaxis": {"title": {"text": unit}},
        "xaxis": {"title": {"text": "seconds of the run"}},
        "showlegend": shows_legend,
        "shapes": [],
        "annotations": [],
    }
    if around:
        layout["yaxis"] = {"title": {"text": unit}, "range": _range(lines, around)}
    return {
        "data": [_trace(line, styles.get(line.name), unit, are_marked=are_marked) for line in ordered],
        "layout": layout,
    }


def _range(lines: Sequence[Line], around: Sequence[float]) -> list[float]:
    """At least 10% below and 4% above the median, so that healthy noise looks as small as it is."""
    known = [y for line in lines for y in line.y if y is not None] or [0.0]
    middle = median(around)
    low, high = min(*known, middle * 0.9), max(*known, middle * 1.04)
    room = (high - low) * 0.05
    return [low - room, high + room]


def _trace(line: Line, style: Style | None, unit: str, *, are_marked: bool) -> Figure:
    is_strong = style is not None and style.is_marked
    return {
        "type": "scatter",
        "mode": "lines" if len(line.x) > 1 else "markers",
        "name": words_of(line.name),
        "x": line.x,
        "y": line.y,
        "line": {
            "color": style.colour if style and (is_strong or not are_marked) else "muted",
            "dash": style.dash if style else "solid",
            "width": 2.6 if is_strong else 1.4,
        },
        "hovertemplate": f"{words_of(line.name)}: %{{y:.4~g}} {unit} at %{{x:.0f}} s<extra></extra>",
        "meta": "marked" if is_strong else "",
    }


def _add_crosses(figure: Figure, lines: Sequence[Line], wrong: Iterable[tuple[str, float]]) -> None:
    by_name = {line.name: line for line in lines}
    places = []
    for device, at_seconds in wrong:
        line = by_name.get(device)
        known = [(abs(x - at_seconds), y) for x, y in zip(line.x, line.y, strict=True) if y is not None] if line else []
        if known:
            places.append((device, at_seconds, min(known)[1]))
    if places:
        _data(figure).append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "wrong result",
                "x": [p[1] for p in places],
                "y": [p[2] for p in places],
                "text": [words_of(p[0]) for p in places],
                "marker": {"symbol": "x", "size": 11, "color": "bad"},
                "hovertemplate": "wrong result on %{text} at %{x:.1f} s<extra></extra>",
            }
        )


def _add_burns(figure: Figure, evidence: NodeEvidence) -> None:
    """A thin line where each burn begins, as its first point shows it."""
    begins: dict[str, float] = {}
    for measurement in evidence.measurements:
        if measurement.series:
            at_seconds = measurement.series[0].at_seconds
            begins[measurement.burn] = min(begins.get(measurement.burn, at_seconds), at_seconds)
    for burn, at_seconds in begins.items():
        _shapes(figure).append(
            {
                "type": "line",
                "x0": at_seconds,
                "x1": at_seconds,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"color": "grid", "width": 1, "dash": "dot"},
                "layer": "below",
            }
        )
        _annotations(figure).append(
            {
                "x": at_seconds,
                "y": 1,
                "yref": "paper",
                "yanchor": "bottom",
                "xanchor": "left",
                "text": burn,
                "showarrow": False,
                "font": {"size": 10},
            }
        )


def _add_xids(figure: Figure, evidence: NodeEvidence) -> None:
    names = {device.uuid: device.name for device in evidence.devices}
    for xid in evidence.xids:
        _shapes(figure).append(
            {
                "type": "line",
                "x0": xid.at_seconds,
                "x1": xid.at_seconds,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"color": "bad", "width": 1.5},
            }
        )
        text = words_of(f"Xid {xid.code} {names.get(xid.uuid, '')}".rstrip())
        _annotations(figure).append(
            {
                "x": xid.at_seconds,
                "y": 0,
                "yref": "paper",
                "yanchor": "bottom",
                "xanchor": "left",
                "showarrow": False,
                "text": text,
                "font": {"size": 10, "color": "bad"},
            }
        )


def _add_shades(
    figure: Figure, slowed: Iterable[tuple[tuple[str, Sequence[tuple[float, float, str]]], Mapping[str, Style]]]
) -> None:
    for (device, spans), styles in slowed:
        for start, end, _ in spans:
            _shapes(figure).append(
                {
                    "type": "rect",
                    "x0": start,
                    "x1": end,
                    "yref": "paper",
                    "y0": 0,
                    "y1": 1,
                    "layer": "below",
                    "line": {"width": 0},
                    "opacity": 0.14,
                    "fillcolor": styles[device].colour if device in styles else PALETTE[1],
                }
            )


def words_of(name: str) -> str:
    """`name` as Plotly shows it: Plotly reads tags, entities and placeholders in names, and these are words."""
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "%&#123;")


def _thinned(lines: Sequence[Line]) -> str:
    most = max(line.num_measured for line in lines)
    drawn = max(len(line.x) for line in lines)
    return (
        f"{drawn:,} of {most:,} points a device drawn, the lowest and highest of each stretch"
        if any(line.is_thinned for line in lines)
        else ""
    )


def _joined(notes: Iterable[str]) -> str:
    return "; ".join(note for note in notes if note)


def _data(figure: Figure) -> list[object]:
    data = figure["data"]
    assert isinstance(data, list)
    return data


def _layout(figure: Figure) -> Figure:
    layout = figure["layout"]
    assert isinstance(layout, dict)
    return layout


def _shapes(figure: Figure) -> list[object]:
    shapes = _layout(figure)["shapes"]
    assert isinstance(shapes, list)
    return shapes


def _annotations(figure: Figure) -> list[object]:
    annotations = _layout(figure)["annotations"]
    assert isinstance(annotations, list)
    return annotations
