"""A GPU too hot, or too close to the temperature at which it slows itself down, before or while it does.

The margin is NVML's own (`nvmlDeviceGetMarginTemperature`), so no temperature of a part is written down here. GPUs
before Hopper have none. HBM slows down at about 95 C without any reason bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from watchdog.detectors.held import Held, held
from watchdog.detectors.reading import Thresholds, each, label
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Series, Window
from watchdog.vocabulary.subjects import Subject

CODES = ("thermal_margin", "hbm_hot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    warn_margin_celsius: float = 2.0
    """Degrees left below which an alert is in common use, after 2 minutes (monitor rules for DCGM)."""
    warn_seconds: float = 120.0
    """How long (the same rules)."""
    fail_margin_celsius: float = -2.0
    """The slowdown threshold itself: "GPU Slowdown T.Limit Temp: -2 C" on an H100 (nvidia-smi -q, 535.161.08)."""
    fail_seconds: float = 60.0
    """How long (ours)."""
    hbm_warn_celsius: float = 95.0
    """Memory temperature: the highest operating one of A100 boards (nvidia-smi: gpu_temp_max_mem_threshold), and
    sichek's limit for H100."""
    hbm_warn_seconds: float = 60.0
    """How long (ours)."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """WARN for a small margin or hot memory, FAIL for a margin that is used up, each after its time."""
    margins = [
        finding
        for subject, series in each(window, "temperature_margin_celsius")
        if (finding := _margin(window, limits, subject, series))
    ]
    hot = [
        Finding(
            source="thermal_margin",
            subject=subject,
            severity=Severity.WARN,
            code="hbm_hot",
            message=f"the memory of {label(window, subject)} is at {series.newest:.0f} C, limit "
            f"{limits.hbm_warn_celsius:.0f} C, for {state.seconds:.0f} s",
            action="inspect",
            since=state.since,
            evidence={"memory_temperature_celsius": series.newest, "limit_celsius": limits.hbm_warn_celsius},
        )
        for subject, series in each(window, "memory_temperature_celsius")
        if (state := held(series, lambda value: value >= limits.hbm_warn_celsius))
        and state.seconds >= limits.hbm_warn_seconds
    ]
    return [*margins, *hot]


def _margin(window: Window, limits: Limits, subject: Subject, series: Series) -> Finding | None:
    below = held(series, lambda value: value <= limits.fail_margin_celsius)
    close = held(series, lambda value: value <= max(limits.warn_margin_celsius, limits.fail_margin_celsius))
    if below is not None and below.seconds >= limits.fail_seconds:
        return _finding(window, subject, series, below, Severity.FAIL, limits.fail_margin_celsius)
    if close is not None and close.seconds >= limits.warn_seconds:
        return _finding(window, subject, series, close, Severity.WARN, limits.warn_margin_celsius)
    return None


def _finding(
    window: Window, subject: Subject, series: Series, state: Held, severity: Severity, limit: float
) -> Finding:
    temperature = window.newest("temperature_celsius").get(subject)
    at = "" if temperature is None else f" at {temperature:.0f} C"
    return Finding(
        source="thermal_margin",
        subject=subject,
        severity=severity,
        code="thermal_margin",
        message=f"{label(window, subject)} has {series.newest:.0f} C left to slowing itself down{at}, limit "
        f"{limit:.0f} C, for {state.seconds:.0f} s: check airflow, fans or coolant",
        action="inspect",
        since=state.since,
        evidence={
            "margin_celsius": series.newest,
            "limit_celsius": limit,
            "seconds": state.seconds,
            "temperature_celsius": temperature,
        },
    )
