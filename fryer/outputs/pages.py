"""What a page of a run is made of: a node's part of it, the templates with their filters, and Plotly."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from fryer.evidence import DeviceInfo, DeviceVerdict, NodeEvidence, NodeVerdict
from fryer.outputs.charts import Chart, host_charts, rate_charts, telemetry_charts
from fryer.outputs.matrix import Matrix, matrix_of, split_pairs
from fryer.outputs.rows import Row, rows_of, verified_line
from fryer.outputs.thinning import MOST_POINTS
from fryer.outputs.wording import count_of, devices_line, mark_of, node_line, short_id, show_figure, show_rate
from fryer.records import BYTES
from watchdog.vocabulary.units import show_duration
from watchdog.vocabulary.verdicts import Verdict

_RATES = frozenset({"value", "warn", "fail", "limit", "reference", "expected", "ceiling", "pairs"})
"""Figures of a reason's evidence that are in its metric and have no unit in their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePage:
    """What the page says of one node."""

    evidence: NodeEvidence
    verdict: NodeVerdict
    summary: str
    devices: tuple[tuple[DeviceVerdict, DeviceInfo | None], ...]
    verified: str
    rows: list[Row]
    """All but those of pairs of devices."""
    matrix: Matrix | None
    """Rates between pairs of devices."""
    charts: tuple[tuple[str, tuple[Chart, ...]], ...]
    """Groups of charts, each with a heading."""


def node_page(evidence: NodeEvidence, verdict: NodeVerdict, most_points: int = MOST_POINTS) -> NodePage:
    """All that a page says of one node, with at most `most_points` drawn of a series."""
    known = {device.name: device for device in evidence.devices}
    groups = (
        ("Rates", tuple(rate_charts(evidence, verdict, most_points))),
        ("Telemetry", tuple(telemetry_charts(evidence, verdict, most_points))),
        ("Host", tuple(host_charts(evidence, most_points))),
    )
    rows, pairs = split_pairs(rows_of(evidence, verdict))
    return NodePage(
        evidence=evidence,
        verdict=verdict,
        summary=f"{node_line(verdict)}, {devices_line(evidence.devices)}",
        devices=tuple((device, known.get(device.device)) for device in verdict.devices),
        verified=verified_line(evidence),
        rows=rows,
        matrix=matrix_of(evidence, pairs),
        charts=tuple((title, charts) for title, charts in groups if charts),
    )


@cache
def template(name: str) -> Template:
    """The template with this file name."""
    environment = Environment(
        loader=PackageLoader("fryer"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "mark": _mark,
        "duration": show_duration,
        "short_id": short_id,
        "count": count_of,
        "figures": _figures,
        "rate": _bytes_rate,
    }
    return environment.get_template(name)


def _mark(verdict: str) -> str:
    return mark_of(Verdict(verdict))


def _bytes_rate(bytes_per_second: float) -> str:
    return show_rate(bytes_per_second, BYTES)


def _figures(evidence: Mapping[str, object]) -> list[tuple[str, str]]:
    """The figures behind a reason, in words; rates in the unit of the measurement that the reason is about."""
    metric, case = str(evidence.get("metric", "")), str(evidence.get("case", ""))
    return [(name, _figure(name, value, metric, case)) for name, value in evidence.items() if name != "metric"]


def _figure(name: str, value: object, metric: str, case: str) -> str:
    if not metric or name not in _RATES:
        return show_figure(name, value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_figure(name, inner, metric, case)}" for key, inner in value.items())
    return show_rate(value, metric, case) if isinstance(value, float | int) else show_figure(name, value)


@cache
def plotly() -> Markup:
    """Plotly's script, to stand in the page itself."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - five megabytes, read only when a page is made

    source: str = get_plotlyjs()
    return Markup(source)  # noqa: S704 - plotly's own file, nothing of a run is in it
