"""NVLink: links that are down, error rates, and a fabric that did not take the GPU in.

A few CRC errors are corrected by a replay and cost nothing; a steady stream is a bad link. Totals of the driver start
from 0 at a reset of the GPU.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from watchdog.detectors.counters import growth
from watchdog.detectors.held import Held, held
from watchdog.detectors.reading import Thresholds, each, label, number
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Window
from watchdog.vocabulary.subjects import Subject

CODES = ("nvlink_errors", "nvlink_down", "fabric_not_ready", "fabric_unhealthy")
COMPLETED = 3
"""`nvmlGpuFabricState_t`: 0 not supported, 1 not started, 2 in progress, 3 completed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    period_seconds: float = 60.0
    """Errors are counted over so long (DCGM's health watch)."""
    warn_per_second: float = 1.0
    """CRC, replay and recovery errors over all links: far from a link's bit error rate, not yet a loss (ours)."""
    fail_per_second: float = 100.0
    """The same (DCGM_LIMIT_MAX_NVLINK_CRC_ERROR: "CRC errors only matter at rates of 100+ per second")."""
    down_seconds: float = 10.0
    """A link is down for so long: a reset of its peer takes it down for a moment (ours)."""
    fabric_seconds: float = 60.0
    """Registration with the fabric is not done for so long. CUDA then fails with error 802 (NVIDIA's Fabric Manager
    guide); the Fabric Manager needs some seconds at start (ours)."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """WARN or FAIL by rate of errors; FAIL for a link that is down and for a fabric that is not there."""
    return [*_errors(window, limits), *_links(window, limits), *_fabric(window, limits)]


def _errors(window: Window, limits: Limits) -> Iterator[Finding]:
    for subject, series in each(window, "nvlink_errors_total"):
        grown = growth(series, window.now - limits.period_seconds)
        rate = grown.rate(1, limits.period_seconds) if grown else 0.0
        if grown is None or rate < limits.warn_per_second:
            continue
        is_fail = rate >= limits.fail_per_second
        yield Finding(
            source="nvlink",
            subject=subject,
            severity=Severity.FAIL if is_fail else Severity.WARN,
            code="nvlink_errors",
            message=f"the NVLinks of {label(window, subject)} made {grown.count:.0f} errors in {grown.seconds:.0f} s, "
            f"{rate:.1f}/s; warned from {limits.warn_per_second:g}/s, failed from {limits.fail_per_second:g}/s",
            action="reset_gpu" if is_fail else "inspect",
            since=grown.since,
            evidence={"errors": grown.count, "per_second": rate, "limit_per_second": limits.fail_per_second},
        )


def _links(window: Window, limits: Limits) -> Iterator[Finding]:
    """A GPU whose number of links nobody knows is held to the most that it showed."""
    for subject, series in each(window, "nvlink_links_up"):
        expected = number(window, subject, "nvlinks") or max(series.values)
        state = held(series, _below(expected))
        if state is None or state.seconds < limits.down_seconds:
            continue
        yield Finding(
            source="nvlink",
            subject=subject,
            severity=Severity.FAIL,
            code="nvlink_down",
            message=f"{label(window, subject)} has {series.newest:.0f} of {expected:.0f} NVLinks up, for "
            f"{state.seconds:.0f} s",
            action="reset_gpu",
            since=state.since,
            evidence={"links_up": series.newest, "links": expected, "seconds": state.seconds},
        )


def _fabric(window: Window, limits: Limits) -> Iterator[Finding]:
    for subject, series in each(window, "fabric_state"):
        waiting = held(series, lambda value: 0 < value < COMPLETED)
        if waiting and waiting.seconds >= limits.fabric_seconds:
            yield _unready(
                window, subject, waiting, f"is not registered with the NVLink fabric (state {series.newest:.0f})"
            )
    for subject, series in each(window, "fabric_status"):
        failed = held(series, lambda value: value != 0)
        is_done = window.newest("fabric_state").get(subject) == COMPLETED
        if failed and is_done and failed.seconds >= limits.fabric_seconds:
            yield _unready(
                window, subject, failed, f"failed to register with the NVLink fabric (NVML {series.newest:.0f})"
            )
    for subject, series in each(window, "fabric_health"):
        ill = held(series, lambda value: value >= 2)
        if ill and ill.seconds >= limits.fabric_seconds:
            yield Finding(
                source="nvlink",
                subject=subject,
                severity=Severity.WARN,
                code="fabric_unhealthy",
                message=f"the NVLink fabric of {label(window, subject)} is "
                f"{'unhealthy' if series.newest == 2 else 'at limited capacity'}",
                action="inspect",
                since=ill.since,
                evidence={"fabric_health": series.newest, "seconds": ill.seconds},
            )


def _unready(window: Window, subject: Subject, state: Held, words: str) -> Finding:
    return Finding(
        source="nvlink",
        subject=subject,
        severity=Severity.FAIL,
        code="fabric_not_ready",
        message=f"{label(window, subject)} {words} for {state.seconds:.0f} s: no CUDA; check the Fabric Manager",
        action="inspect",
        since=state.since,
        evidence={"seconds": state.seconds},
    )


def _below(limit: float) -> Callable[[float], bool]:
    return lambda value: value < limit
