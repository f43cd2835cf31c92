"""PCIe packets sent again more often than the link's specified bit error rate allows.

A link of R bits a second and lane is allowed 1e-12 R errors a second, so 0.15, 0.3, 0.48, 0.96, 1.92 and 3.84 a minute
and lane for generations 1 to 6: 31 a minute for Gen5 x16 (DCGM, DcgmHealthWatch, `GetExpectedPcieReplayRate`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from watchdog.detectors.counters import growth
from watchdog.detectors.reading import Thresholds, each, label, number
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Window
from watchdog.vocabulary.subjects import Subject

CODES = ("pcie_replays",)
BITS_PER_SECOND = (2.5e9, 5e9, 8e9, 16e9, 32e9, 64e9)
"""Per lane, generations 1 to 6 (PCI Express Base Specification)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    period_seconds: float = 60.0
    """Replays are counted over so long (DCGM)."""
    bit_error_ratio: float = 1e-12
    """Errors a bit that the specification allows (DCGM's health watch uses it for every generation)."""


def expected_per_minute(generation: float, width: float, bit_error_ratio: float) -> int:
    """Replays a minute that a link may have, rounded up; a generation beyond the table counts as its last."""
    bits = BITS_PER_SECOND[min(max(int(generation), 1), len(BITS_PER_SECOND)) - 1]
    return ceil(round(bits * bit_error_ratio * 60 * width, 9))


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """WARN for each GPU over the rate of its link; nothing where generation or width is not known."""
    findings = []
    for subject, series in each(window, "pcie_replays_total"):
        grown = growth(series, window.now - limits.period_seconds)
        link = _link(window, limits, subject) if grown else None
        if grown is None or link is None:
            continue
        expected = expected_per_minute(*link, limits.bit_error_ratio)
        per_minute = grown.rate(60, limits.period_seconds)
        if per_minute > expected:
            findings.append(
                Finding(
                    source="pcie_replay",
                    subject=subject,
                    severity=Severity.WARN,
                    code="pcie_replays",
                    message=f"the PCIe link of {label(window, subject)} (Gen{link[0]:.0f} x{link[1]:.0f}) replays "
                    f"{per_minute:.0f} packets a minute, {expected} are allowed",
                    action="inspect",
                    since=grown.since,
                    evidence={
                        "replays": grown.count,
                        "per_minute": per_minute,
                        "limit_per_minute": expected,
                        "generation": link[0],
                        "width": link[1],
                    },
                )
            )
    return findings


def _link(window: Window, limits: Limits, subject: Subject) -> tuple[float, float] | None:
    """Highest generation and width of the last readings: one that rests meanwhile has still sent at full speed."""
    begin = window.now - limits.period_seconds
    best = []
    for metric in ("pcie_generation", "pcie_width"):
        series = window.series(metric).get(subject)
        seen = series.since(begin).values if series else ()
        best.append(max(seen) if seen else number(window, subject, f"{metric}_max"))
    return None if best[0] is None or best[1] is None else (best[0], best[1])
