"""The state of the daemon as Prometheus text: what ``/metrics`` answers.

    State ──▶ daemon, gpus, machine, runs  (pure: points)  ──▶ render  ──▶ text

`metrics` names every family once; docs/metrics.md is made from it. It owns names and labels; it reads nothing, judges
nothing, and remembers nothing between calls. Only this file imports prometheus_client.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from watchdog.exporter.daemon import daemon_points, unnamed_counters
from watchdog.exporter.gpus import gpu_points
from watchdog.exporter.machine import machine_points
from watchdog.exporter.metrics import METRICS, Family, Point
from watchdog.exporter.runs import run_points
from watchdog.state import State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""What `render` gives: Prometheus' text format, which every version of it reads."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")
"""Half of a character: JSON can carry it, UTF-8 can't."""


def render(state: State) -> str:
    """Every series of `state`. What could not be read has no series; a series is never printed twice."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_StateCollector(state))
    return generate_latest(registry).decode()


class _StateCollector(Collector):
    """Hands one state to prometheus_client, in the order of the catalogue."""

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Families that have at least one series, named ones first."""
        state = self._state
        extra = unnamed_counters(state)
        found = _by_family((*daemon_points(state), *gpu_points(state), *machine_points(state), *run_points(state)))
        for family in METRICS:
            if family.name in found:
                yield _metric(family, found[family.name])
        for family, point in extra:
            yield _metric(family, {point.labels: point.value})


def _by_family(points: Iterable[Point]) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by family and labels; of two with equal labels the later one stays: Prometheus refuses to read both."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for point in points:
        labels = tuple(_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", label) for label in point.labels)
        found.setdefault(point.family, {})[labels] = point.value
    return found


def _metric(family: Family, series: Mapping[tuple[str, ...], float]) -> Metric:
    metric = Metric(family.name.removesuffix("_total"), family.help, family.kind)
    for labels, value in sorted(series.items()):
        metric.add_sample(family.name, dict(zip(family.labels, labels, strict=True)), value)
    return metric
