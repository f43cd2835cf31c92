"""A node whose clock is off: its logs can't be laid beside those of others, and in the end it can't log in to Slurm."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from watchdog.detectors.held import held, together
from watchdog.detectors.reading import Thresholds, each, label
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Window
from watchdog.vocabulary.subjects import Subject

CODES = ("clock_skew", "clock_skew_step", "clock_skew_unsynchronised")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds, of the offset either way."""

    warn_offset_seconds: float = 0.05
    """node_exporter's mixin: NodeClockSkewDetected."""
    fail_offset_seconds: float = 60.0
    """Ours: well before munge refuses credentials at 300 s, and with it every Slurm command."""
    held_seconds: float = 60.0
    """How long: a clock that is being set is not off (ours; the mixin waits 10 min, which is most of our window)."""
    step_seconds: float = 1.0
    """A clock that was set by so much at once: durations across it are wrong (ours)."""
    step_period_seconds: float = 900.0
    """A step is told for so long: the daemon's window (ours)."""
    max_error_seconds: float = 16.0
    """Of a clock that nothing synchronises (node_exporter's mixin: NodeClockNotSynchronising)."""
    unsynchronised_seconds: float = 600.0
    """How long (the same)."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """WARN and FAIL by the offset that was kept for long enough; WARN for a step, and for a clock that runs free."""
    return [*_offsets(window, limits), *_steps(window, limits), *_unsynchronised(window, limits)]


def _found(subject: Subject, severity: Severity, code: str, message: str, since: float, **evidence: object) -> Finding:
    return Finding(
        source="clock_skew",
        subject=subject,
        severity=severity,
        code=code,
        message=message,
        action="inspect",
        since=since,
        evidence=evidence,
    )


def _offsets(window: Window, limits: Limits) -> Iterator[Finding]:
    bounds = ((Severity.FAIL, limits.fail_offset_seconds), (Severity.WARN, limits.warn_offset_seconds))
    for subject, series in each(window, "clock_offset_seconds"):
        for severity, bound in bounds:
            state = held(series, _off_by(bound))
            if state is None or state.seconds < limits.held_seconds:
                continue
            yield _found(
                subject,
                severity,
                "clock_skew",
                f"the clock of {label(window, subject)} is off by {series.newest:.3g} s, limit {bound:g} s, for "
                f"{state.seconds:.0f} s: check chronyd or ntpd",
                state.since,
                offset_seconds=series.newest,
                limit_seconds=bound,
                seconds=state.seconds,
            )
            break


def _steps(window: Window, limits: Limits) -> Iterator[Finding]:
    for subject, series in each(window, "clock_step_seconds"):
        recent = series.since(window.now - limits.step_period_seconds)
        steps = [(at, by) for at, by in zip(recent.at, recent.values, strict=True) if abs(by) >= limits.step_seconds]
        if steps:
            farthest = max((by for _, by in steps), key=abs)
            yield _found(
                subject,
                Severity.WARN,
                "clock_skew_step",
                f"the clock of {label(window, subject)} was set by {farthest:+.3g} s: durations across it are wrong",
                steps[0][0],
                step_seconds=farthest,
                steps=len(steps),
            )


def _unsynchronised(window: Window, limits: Limits) -> Iterator[Finding]:
    """Where the greatest error is not known, as of a chronyd that found no source, being free is enough."""
    errors = window.series("clock_max_error_seconds")
    for subject, series in each(window, "clock_synchronised"):
        state = held(series, lambda value: value == 0)
        error = errors.get(subject)
        if error is not None:
            state = together(state, held(error, lambda value: value >= limits.max_error_seconds))
        if state is not None and state.seconds >= limits.unsynchronised_seconds:
            off = "it is not known by how much it is off" if error is None else f"it may be off by {error.newest:.0f} s"
            yield _found(
                subject,
                Severity.WARN,
                "clock_skew_unsynchronised",
                f"nothing synchronises the clock of {label(window, subject)} for {state.seconds:.0f} s; {off}",
                state.since,
                max_error_seconds=None if error is None else error.newest,
                seconds=state.seconds,
            )


def _off_by(bound: float) -> Callable[[float], bool]:
    return lambda value: abs(value) >= bound
