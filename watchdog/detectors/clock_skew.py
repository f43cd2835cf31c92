"""A node whose clock is off: its logs can't be laid beside those of others, and in the end it can't log in to Slurm."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from watchdog.detectors.held import held
from watchdog.detectors.reading import Thresholds, each, label
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Window

CODES = ("clock_skew",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds, of the offset either way."""

    warn_offset_seconds: float = 0.05
    """node_exporter's mixin: NodeClockSkewDetected."""
    fail_offset_seconds: float = 60.0
    """Ours: well before munge refuses credentials at 300 s, and with it every Slurm command."""
    held_seconds: float = 60.0
    """How long: a clock that is being set is not off (ours; the mixin waits 10 min, which is most of our window)."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """WARN and FAIL by the offset that the newest readings have kept to or exceeded for long enough."""
    bounds = ((Severity.FAIL, limits.fail_offset_seconds), (Severity.WARN, limits.warn_offset_seconds))
    findings = []
    for subject, series in each(window, "clock_offset_seconds"):
        for severity, bound in bounds:
            state = held(series, _off_by(bound))
            if state is None or state.seconds < limits.held_seconds:
                continue
            findings.append(
                Finding(
                    source="clock_skew",
                    subject=subject,
                    severity=severity,
                    code="clock_skew",
                    message=f"the clock of {label(window, subject)} is off by {series.newest:.3g} s, limit "
                    f"{bound:g} s, for {state.seconds:.0f} s: check chronyd or ntpd",
                    action="inspect",
                    since=state.since,
                    evidence={"offset_seconds": series.newest, "limit_seconds": bound, "seconds": state.seconds},
                )
            )
            break
    return findings


def _off_by(bound: float) -> Callable[[float], bool]:
    return lambda value: abs(value) >= bound
