"""A host that runs out of memory, swaps, stalls for memory, or collects processes that can't be ended.

The kernel ends the largest process when nothing is left, and that is a trainer or its data loader. Processes in
uninterruptible sleep wait for a driver or a disk that does not answer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from watchdog.detectors.counters import growth
from watchdog.detectors.held import held
from watchdog.detectors.reading import Thresholds, each, label
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Series, Window
from watchdog.vocabulary.subjects import Subject

CODES = ("host_memory_low", "host_memory_pressure", "host_swapping", "host_processes_stuck")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    warn_available_ratio: float = 0.05
    """Available share of memory (MemAvailable of MemTotal; ours)."""
    fail_available_ratio: float = 0.02
    """Available share from which the kernel is about to end processes (ours)."""
    available_seconds: float = 10.0
    """How long (ours)."""
    warn_pressure_ratio: float = 0.2
    """Share of time in which some task stalled for memory (ours)."""
    fail_full_pressure_ratio: float = 0.6
    """Share of time in which all tasks stalled (systemd-oomd's DefaultMemoryPressureLimit)."""
    pressure_seconds: float = 30.0
    """How long (systemd-oomd's DefaultMemoryPressureDurationSec)."""
    swap_bytes: float = 1e9
    """Growth of swap over the window: a training host has no reason to swap (ours)."""
    waiting_processes: float = 8.0
    """So many in uninterruptible sleep, whichever they are: one for each GPU of a node (ours)."""
    stuck_processes: float = 1.0
    """So many that were in it at two looks after each other."""
    stuck_seconds: float = 120.0
    """How long, at each look: the kernel's own hung_task_timeout_secs."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """WARN and FAIL by what is available and by stalls; WARN for swapping and for stuck processes."""
    return [
        *_available(window, limits),
        *_pressure(window, limits),
        *_swap(window, limits),
        *_stuck(window, limits),
    ]


def _available(window: Window, limits: Limits) -> Iterator[Finding]:
    totals = window.newest("memory_total_bytes")
    for subject, series in each(window, "memory_available_bytes"):
        total = totals.get(subject)
        if not total:
            continue
        graded = _graded(series, limits.warn_available_ratio * total, limits.fail_available_ratio * total, limits)
        if graded is None:
            continue
        severity, since = graded
        yield Finding(
            source="host_memory",
            subject=subject,
            severity=severity,
            code="host_memory_low",
            message=f"{label(window, subject)} has {series.newest / total:.1%} of its memory available, "
            f"{series.newest / 1e9:.1f} GB",
            action="inspect",
            since=since,
            evidence={"available_bytes": series.newest, "total_bytes": total, "ratio": series.newest / total},
        )


def _graded(series: Series, warn: float, fail: float, limits: Limits) -> tuple[Severity, float] | None:
    """The gravest bound that the newest readings have stayed at or below for long enough, and since when."""
    for severity, bound in ((Severity.FAIL, fail), (Severity.WARN, max(warn, fail))):
        state = held(series, _at_most(bound))
        if state is not None and state.seconds >= limits.available_seconds:
            return severity, state.since
    return None


def _pressure(window: Window, limits: Limits) -> Iterator[Finding]:
    graver = {f.subject: f for f in _stalls(window, limits, "memory_pressure_ratio", Severity.WARN)}
    graver |= {f.subject: f for f in _stalls(window, limits, "memory_pressure_full_ratio", Severity.FAIL)}
    yield from (graver[subject] for subject in sorted(graver))


def _stalls(window: Window, limits: Limits, metric: str, severity: Severity) -> Iterator[Finding]:
    is_full = severity is Severity.FAIL
    bound = limits.fail_full_pressure_ratio if is_full else limits.warn_pressure_ratio
    for subject, series in each(window, metric):
        state = held(series, _at_least(bound))
        if state is None or state.seconds < limits.pressure_seconds:
            continue
        yield Finding(
            source="host_memory",
            subject=subject,
            severity=severity,
            code="host_memory_pressure",
            message=f"{'all' if is_full else 'some'} tasks of {label(window, subject)} stall for memory "
            f"{series.newest:.0%} of the time, limit {bound:.0%}, for {state.seconds:.0f} s",
            action="inspect",
            since=state.since,
            evidence={
                "metric": metric,
                "pressure_ratio": series.newest,
                "limit_ratio": bound,
                "seconds": state.seconds,
            },
        )


def _swap(window: Window, limits: Limits) -> Iterator[Finding]:
    for subject, series in each(window, "swap_used_bytes"):
        grown = series.newest - min(series.values)
        if grown < limits.swap_bytes:
            continue
        first = growth(series, series.at[0])
        yield Finding(
            source="host_memory",
            subject=subject,
            severity=Severity.WARN,
            code="host_swapping",
            message=f"{label(window, subject)} swapped out {grown / 1e9:.1f} GB in "
            f"{series.at[-1] - series.at[0]:.0f} s and uses {series.newest / 1e9:.1f} GB of swap",
            action="inspect",
            since=first.since if first else series.at[0],
            evidence={"grown_bytes": grown, "swap_used_bytes": series.newest},
        )


def _stuck(window: Window, limits: Limits) -> Iterator[Finding]:
    """By name where the reader knows which they are, else by number."""
    bounds = {"processes_uninterruptible": limits.waiting_processes, "processes_stuck": limits.stuck_processes}
    worst: dict[Subject, Finding] = {}
    for metric, bound in bounds.items():
        for subject, series in each(window, metric):
            state = held(series, _at_least(bound))
            if state is None or state.seconds < limits.stuck_seconds:
                continue
            names = window.facts.get(subject, {}).get("stuck")
            named = ", ".join(map(str, names)) if isinstance(names, list) and names else "not named"
            worst[subject] = Finding(
                source="host_memory",
                subject=subject,
                severity=Severity.WARN,
                code="host_processes_stuck",
                message=f"{series.newest:.0f} processes of {label(window, subject)} are in uninterruptible sleep, at "
                f"least {bound:.0f} for {state.seconds:.0f} s ({named}): a driver or a disk does not answer",
                action="inspect",
                since=state.since,
                evidence={"metric": metric, "processes": series.newest, "limit": bound, "seconds": state.seconds},
            )
    yield from (worst[subject] for subject in sorted(worst))


def _at_most(bound: float) -> Callable[[float], bool]:
    return lambda value: value <= bound


def _at_least(bound: float) -> Callable[[float], bool]:
    return lambda value: value >= bound
