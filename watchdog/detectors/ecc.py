"""Memory errors that ECC found: growth of the driver's volatile counters, over resets of driver and GPU.

Volatile counters begin at 0 with the driver, so what they show after a reset is new. Errors from before the window are
told by the recovery action, the remapped rows and the kernel log.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from watchdog.detectors.counters import growth
from watchdog.detectors.held import held
from watchdog.detectors.reading import Thresholds, each, label
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Window

CODES = ("ecc_uncorrected", "ecc_corrected", "ecc_sram_threshold")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    period_seconds: float = 900.0
    """How far back growth counts: the daemon's window (ours)."""
    corrected_per_hour: float = 100.0
    """Ours: single corrected errors are normal, a stream of them precedes row remapping (Xid 92)."""
    corrected_least: float = 10.0
    """And at least so many (ours)."""
    least_seconds: float = 600.0
    """A rate counts as over at least so long: ten errors at the start are no 7,200 an hour (ours)."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """FAIL for any new uncorrectable error and for SRAM past NVIDIA's limit, WARN for a stream of corrected ones."""
    return [*_uncorrected(window, limits), *_corrected(window, limits), *_sram(window)]


def _uncorrected(window: Window, limits: Limits) -> list[Finding]:
    return [
        Finding(
            source="ecc",
            subject=subject,
            severity=Severity.FAIL,
            code="ecc_uncorrected",
            message=f"{label(window, subject)} found {grown.count:.0f} new uncorrectable memory errors; it counts "
            f"{series.newest:.0f} since the driver was loaded",
            action="reset_gpu",
            since=grown.since,
            evidence={"new": grown.count, "total": series.newest, "seconds": grown.seconds},
        )
        for subject, series in each(window, "ecc_uncorrected_total")
        if (grown := growth(series, window.now - limits.period_seconds))
    ]


def _corrected(window: Window, limits: Limits) -> list[Finding]:
    findings = []
    for subject, series in each(window, "ecc_corrected_total"):
        grown = growth(series, window.now - limits.period_seconds)
        if grown is None or grown.count < limits.corrected_least:
            continue
        per_hour = grown.rate(3600, limits.least_seconds)
        if per_hour > limits.corrected_per_hour:
            findings.append(
                Finding(
                    source="ecc",
                    subject=subject,
                    severity=Severity.WARN,
                    code="ecc_corrected",
                    message=f"{label(window, subject)} corrected {grown.count:.0f} memory errors, {per_hour:.0f} an "
                    f"hour, limit {limits.corrected_per_hour:.0f}",
                    action="inspect",
                    since=grown.since,
                    evidence={"new": grown.count, "per_hour": per_hour, "limit_per_hour": limits.corrected_per_hour},
                )
            )
    return findings


def _sram(window: Window) -> list[Finding]:
    return [
        Finding(
            source="ecc",
            subject=subject,
            severity=Severity.FAIL,
            code="ecc_sram_threshold",
            message=f"{label(window, subject)} has more uncorrectable SRAM errors than NVIDIA allows: replace it",
            action="contact_support",
            since=state.since,
            evidence={"sram_threshold_exceeded": series.newest},
        )
        for subject, series in each(window, "sram_threshold_exceeded")
        if (state := held(series, lambda value: value > 0))
    ]
