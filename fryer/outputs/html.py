"""A run as one self-contained page: verdict first, then why, then every series that it was drawn from.

The page loads nothing (its own content policy forbids it), so it can be kept, mailed and opened years later. It must
not judge: all that it says was concluded elsewhere.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from fryer.evidence import DeviceInfo, DeviceVerdict, NodeEvidence, NodeVerdict
from fryer.outputs.charts import Chart, host_charts, rate_charts, telemetry_charts
from fryer.outputs.matrix import Matrix, matrix_of, split_pairs
from fryer.outputs.rows import Row, reasons_of, rows_of, verified_line
from fryer.outputs.wording import (
    count_of,
    devices_line,
    headline,
    mark_of,
    node_line,
    short_id,
    show_figure,
    show_rate,
    subject_of,
)
from fryer.result import RunResult
from watchdog.vocabulary.errors import UsageError
from watchdog.vocabulary.units import show_duration

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


def render(result: RunResult) -> str:
    """The page of a run, complete; equal results give equal pages."""
    with_node = len(result.verdicts) > 1
    reasons = [
        (subject_of(about.node, about.device, with_node=with_node), about.reason) for about in reasons_of(result)
    ]
    pages = [_node_page(evidence, verdict) for evidence, verdict in zip(result.evidence, result.verdicts, strict=True)]
    figures = [chart.figure for page in pages for _, charts in page.charts for chart in charts]
    return _template().render(
        result=result,
        headline=headline(result),
        reasons=reasons,
        pages=pages,
        figures=figures,
        plotly=Markup(_plotly()),  # noqa: S704 - plotly's own file, nothing of a run is in it
    )


def _node_page(evidence: NodeEvidence, verdict: NodeVerdict) -> NodePage:
    known = {device.name: device for device in evidence.devices}
    groups = (
        ("Rates", tuple(rate_charts(evidence, verdict))),
        ("Telemetry", tuple(telemetry_charts(evidence, verdict))),
        ("Host", tuple(host_charts(evidence))),
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
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("fryer"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "mark": mark_of,
        "duration": show_duration,
        "short_id": short_id,
        "count": count_of,
        "figures": _figures,
    }
    return environment.get_template("report.html")


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
def _plotly() -> str:
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - five megabytes, read only when a page is made

    source: str = get_plotlyjs()
    return source


def check_path(path: Path) -> None:
    """Raise `UsageError` when a page can't be written to `path`; called before hours are spent on measuring."""
    with _explained(path):
        target = path.resolve()
        if target.exists() and not target.is_file():
            kind = "a directory" if target.is_dir() else "no plain file"
            raise UsageError(f"can't write the report to {path}: it is {kind}; name a file, for example report.html")
        if not target.parent.is_dir():
            raise UsageError(f"can't write the report to {path}: there is no directory {target.parent}; make it first")
        probe = _part_of(target)
        _create(probe, b"")
        probe.unlink()


def write(result: RunResult, path: Path) -> None:
    """Write the page to `path`, whole or not at all; raises `UsageError` when it can't be written there."""
    check_path(path)
    # An argument of the command may be any bytes; the page shows those that are no text as a shell would take them.
    content = render(result).encode(errors="backslashreplace")
    with _explained(path):
        target = path.resolve()
        part = _part_of(target)
        try:
            _create(part, content)
            part.replace(target)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()


def _part_of(target: Path) -> Path:
    return target.with_name(f".{target.name[:200]}.{os.getpid()}.part")


def _create(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a loop of links
        detail = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"can't write the report to {path}: {detail}; name a file that you may write") from error
