"""Rows of HBM that were, could not be, or soon can't be replaced by spares (`nvmlDeviceGetRemappedRows`).

A pending remapping does not endanger running work (nvml.h), so it waits for the end of the job. A failure flag means
that one ever failed, and is a ground for return.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from watchdog.detectors.held import held
from watchdog.detectors.reading import Thresholds, each, label
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Window

CODES = (
    "row_remap_failed",
    "row_remap_pending",
    "row_remap_no_spares",
    "row_remap_few_spares",
    "row_remap_many",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    warn_rows: int = 10
    """More remapped rows than this, of any cause: 83 % of such GPUs regress (SuperBench, ATC 2024)."""
    fail_rows: int = 512
    """So many rows remapped for uncorrectable errors (DCGM_LIMIT_MAX_ROW_REMAP_UNCORRECTABLE)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    metric: str
    code: str
    severity: Severity
    action: str
    words: str


_RULES = (
    _Rule(
        metric="remap_failed",
        code="row_remap_failed",
        severity=Severity.FAIL,
        action="contact_support",
        words="could not remap a bad row: its bank had no spare row left; a ground for return",
    ),
    _Rule(
        metric="remap_pending",
        code="row_remap_pending",
        severity=Severity.WARN,
        action="reset_gpu",
        words="has a row remapping pending; running work is safe, reset the GPU once the job is over",
    ),
    _Rule(
        metric="remap_banks_none",
        code="row_remap_no_spares",
        severity=Severity.WARN,
        action="contact_support",
        words="has {value:.0f} memory banks without a spare row: the next bad row there can't be remapped",
    ),
    _Rule(
        metric="remap_banks_low",
        code="row_remap_few_spares",
        severity=Severity.WARN,
        action="inspect",
        words="has {value:.0f} memory banks with few spare rows left",
    ),
)


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """FAIL for a failed remapping or very many rows; WARN for a pending one, spares that run out, or many rows."""
    flagged = [
        Finding(
            source="row_remap",
            subject=subject,
            severity=rule.severity,
            code=rule.code,
            message=f"{label(window, subject)} {rule.words.format(value=series.newest)}",
            action=rule.action,
            since=state.since,
            evidence={rule.metric: series.newest},
        )
        for rule in _RULES
        for subject, series in each(window, rule.metric)
        if (state := held(series, _is_set))
    ]
    return [*flagged, *_many(window, limits)]


def _is_set(value: float) -> bool:
    return value > 0


def _many(window: Window, limits: Limits) -> list[Finding]:
    corrected = window.newest("remapped_rows_corrected")
    findings = []
    for subject, series in each(window, "remapped_rows_uncorrected"):
        rows = series.newest + corrected.get(subject, 0.0)
        is_fail = series.newest >= limits.fail_rows
        if not is_fail and rows <= limits.warn_rows:
            continue
        state = held(series, _at_least(series.newest))
        findings.append(
            Finding(
                source="row_remap",
                subject=subject,
                severity=Severity.FAIL if is_fail else Severity.WARN,
                code="row_remap_many",
                message=f"{label(window, subject)} has remapped {rows:.0f} rows, {series.newest:.0f} of them for "
                f"uncorrectable errors; warned above {limits.warn_rows}, failed from {limits.fail_rows} uncorrectable",
                action="contact_support" if is_fail else "inspect",
                since=state.since if state else window.now,
                evidence={"rows": rows, "rows_uncorrected": series.newest},
            )
        )
    return findings


def _at_least(least: float) -> Callable[[float], bool]:
    return lambda value: value >= least
