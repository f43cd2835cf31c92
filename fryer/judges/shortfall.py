"""How far a figure lies below what it is compared with, and what that makes of the verdict. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from fryer.evidence import Measurement
from fryer.judges.conclusion import show_rate
from fryer.judges.limits import Limits
from fryer.steady import standard_error_ratio, total_rate
from watchdog.vocabulary.verdicts import Verdict, gravest


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Shortfalls (ratios) above which a figure is worth a look, and above which it fails."""

    warn_ratio: float
    fail_ratio: float
    noise_ratio: float = 0.0
    """What noise alone explains; nothing below it counts."""

    def grade(self, shortfall_ratio: float) -> Verdict | None:
        """WARN or FAIL; None when the shortfall is within bounds or within noise."""
        if shortfall_ratio <= self.noise_ratio:
            return None
        if shortfall_ratio > self.fail_ratio:
            return Verdict.FAIL
        return Verdict.WARN if shortfall_ratio > self.warn_ratio else None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One of the two rates by which a series is judged."""

    name: str
    """``median``, or ``total``: work over time, which sees what a median hides."""
    value: float
    measurement: Measurement

    @property
    def words(self) -> str:
        """The rate as a reason tells it."""
        found = self.measurement
        shown = show_rate(found.value, found.metric, found.case)
        if self.name == "median":
            return shown
        return f"{show_rate(self.value, found.metric, found.case)} over the whole time (median {shown})"


def views(measurement: Measurement) -> tuple[View, View]:
    """The median, then the total rate: each is held against every limit, and the graver finding is told."""
    return (
        View(name="median", value=measurement.value, measurement=measurement),
        View(name="total", value=total_rate(measurement), measurement=measurement),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """A comparison that found something."""

    view: View
    reference: float
    reference_is: str
    bounds: Bounds
    verdict: Verdict

    @property
    def shortfall_ratio(self) -> float:
        """How far below the reference."""
        return 1 - self.view.value / self.reference


def grade(view: View, reference: float, bounds: Bounds, reference_is: str = "") -> Graded | None:
    """The comparison of `view` with `reference` (above 0); None where it finds nothing."""
    verdict = bounds.grade(1 - view.value / reference)
    if verdict is None:
        return None
    return Graded(view=view, reference=reference, reference_is=reference_is, bounds=bounds, verdict=verdict)


def gravest_of(graded: Sequence[Graded | None]) -> Graded | None:
    """The gravest of the findings, the first among equals; None where there is none."""
    found = [each for each in graded if each is not None]
    if not found:
        return None
    worst = gravest(each.verdict for each in found)
    return next(each for each in found if each.verdict is worst)


def comparison(measurement: Measurement, graded: Graded, against: Sequence[str]) -> dict[str, object]:
    """The figures of a comparison, for `Reason.evidence`; `against` says with whom."""
    bounds, reference = graded.bounds, graded.reference
    return {
        "burn": measurement.burn,
        "case": measurement.case,
        "metric": measurement.metric,
        "value": graded.view.value,
        "value_is": graded.view.name,
        "median": measurement.value,
        "reference": reference,
        "ratio": graded.view.value / reference,
        "warn_ratio": 1 - bounds.warn_ratio,
        "fail_ratio": 1 - bounds.fail_ratio,
        "noise_ratio": bounds.noise_ratio,
        "spread_ratio": measurement.spread_ratio,
        "against": list(against),
    }


def own_noise(measurement: Measurement, limits: Limits) -> float:
    """What the noise of two measurements like this one explains of their difference.

    Of a series too short to show its own noise, more than its points say: see `standard_error_ratio`.
    """
    return float(limits.noise_factor * standard_error_ratio(measurement) * 2**0.5) if measurement.series else 0.0
