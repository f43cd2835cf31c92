"""A GPU that is slower or hotter than it was at its own burn-in.

The fact ``baseline`` maps ``burn case metric`` to the figure of this GPU's last qualification. Only what can be read
without disturbing a job is compared, always under load:

- ``sm_clock_hertz``: against the lowest that any burn held, since a burn is the heaviest load there is;
- ``temperature_celsius`` and ``memory_temperature_celsius``: against the highest of any burn, and only while the GPU
  draws no more power than it did in the burns, where both are known;
- rates (``..._per_second``) that are reported live under the baseline's own name.

Not comparable live: arithmetic and copy rates of the burns themselves, and power, which is the job's own affair.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from watchdog.detectors.held import held
from watchdog.detectors.reading import Thresholds, label
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Window
from watchdog.vocabulary.subjects import Subject

CODES = ("clock_below_baseline", "hotter_than_baseline", "rate_below_baseline")
BASELINE = "baseline"
_CLOCK, _POWER = "sm_clock_hertz", "power_watts"
_TEMPERATURES = ("temperature_celsius", "memory_temperature_celsius")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    loaded_ratio: float = 0.9
    """Utilisation from which a GPU is loaded (ours)."""
    period_seconds: float = 300.0
    """Loaded without a break, and medians over it: temperatures settle in minutes (ours)."""
    warn_below_ratio: float = 0.05
    """Below the baseline: a GPU repeats itself within 1 %, ambient and libraries move it by 3 % (`fryer.judges`), and a
    job is not the burn."""
    fail_below_ratio: float = 0.10
    """Twice that, the limit of the burn-in against the node."""
    hotter_celsius: float = 8.0
    """Above the baseline: inlet air of a data centre may move by 9 C within its recommended range (18 to 27 C, ASHRAE
    TC 9.9), and seldom does within a job."""
    power_tolerance_ratio: float = 1.02
    """Of the burn's power, up to which heat is compared."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """WARN and FAIL for clocks and rates below, WARN for temperatures above."""
    return [
        finding
        for subject in sorted(window.facts)
        if isinstance(baseline := window.facts[subject].get(BASELINE), Mapping)
        for finding in _of_gpu(window, limits, subject, _figures(baseline))
    ]


def _figures(baseline: Mapping[object, object]) -> dict[str, float]:
    return {str(key): float(value) for key, value in baseline.items() if isinstance(value, int | float) and value > 0}


def _of_gpu(window: Window, limits: Limits, subject: Subject, baseline: Mapping[str, float]) -> Iterator[Finding]:
    load = window.series("utilization_ratio").get(subject)
    if load is None or load.newest < limits.loaded_ratio:
        return
    state = held(load.since(window.now - 2 * limits.period_seconds), lambda value: value >= limits.loaded_ratio)
    if state is None or state.seconds < limits.period_seconds:
        return
    clocks = _of_metric(baseline, _CLOCK)
    if clocks:
        yield from _below(window, limits, subject, _CLOCK, min(clocks), "clock_below_baseline")
    yield from _hotter(window, limits, subject, baseline)
    rates = [
        found
        for key, value in sorted(baseline.items())
        if key.endswith("_per_second")
        for found in _below(window, limits, subject, key, value, "rate_below_baseline")
    ]
    yield from sorted(rates, key=lambda found: -_below_ratio(found))[:1]


def _below_ratio(finding: Finding) -> float:
    ratio = finding.evidence["below_ratio"]
    assert isinstance(ratio, float)
    return ratio


def _of_metric(baseline: Mapping[str, float], metric: str) -> list[float]:
    """Figures of every burn and case."""
    return [value for key, value in baseline.items() if key.rpartition(" ")[2] == metric]


def _now(window: Window, limits: Limits, subject: Subject, metric: str) -> float | None:
    series = window.series(metric).get(subject)
    values = series.since(window.now - limits.period_seconds).values if series else ()
    return median(values) if len(values) > 1 else None


def _below(
    window: Window, limits: Limits, subject: Subject, metric: str, baseline: float, code: str
) -> Iterator[Finding]:
    value = _now(window, limits, subject, metric)
    if value is None:
        return
    below = 1 - value / baseline
    if below < min(limits.warn_below_ratio, limits.fail_below_ratio):
        return
    yield Finding(
        source="baseline_drift",
        subject=subject,
        severity=Severity.FAIL if below >= limits.fail_below_ratio else Severity.WARN,
        code=code,
        message=f"{metric} of {label(window, subject)} is {value:.4g} under load, {below:.1%} below the {baseline:.4g} "
        "of its own burn-in",
        action="inspect",
        since=window.now - limits.period_seconds,
        evidence={"metric": metric, "value": value, "baseline": baseline, "below_ratio": below},
    )


def _hotter(window: Window, limits: Limits, subject: Subject, baseline: Mapping[str, float]) -> Iterator[Finding]:
    watts, burn_watts = _now(window, limits, subject, _POWER), _of_metric(baseline, _POWER)
    if watts is not None and burn_watts and watts > limits.power_tolerance_ratio * max(burn_watts):
        return
    above = []
    for metric in _TEMPERATURES:
        value, burns = _now(window, limits, subject, metric), _of_metric(baseline, metric)
        if value is not None and burns and value - max(burns) >= limits.hotter_celsius:
            above.append((value - max(burns), metric, value))
    if above:
        more, metric, value = max(above)
        yield Finding(
            source="baseline_drift",
            subject=subject,
            severity=Severity.WARN,
            code="hotter_than_baseline",
            message=f"{metric} of {label(window, subject)} is {value:.0f} C, {more:.0f} C above its own "
            "burn-in, at no more power: check airflow and the heat sink's seating",
            action="inspect",
            since=window.now - limits.period_seconds,
            evidence={"metric": metric, "value": value, "baseline": value - more, "power_watts": watts},
        )
