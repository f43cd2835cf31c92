"""How far a figure lies below what it is compared with, and what that makes of the verdict. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from fryer.evidence import Measurement
from fryer.judges.limits import Limits
from watchdog.vocabulary.verdicts import Verdict


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


def comparison(measurement: Measurement, reference: float, bounds: Bounds, against: Sequence[str]) -> dict[str, object]:
    """The figures of a comparison, for `Reason.evidence`; `against` says with whom."""
    return {
        "burn": measurement.burn,
        "case": measurement.case,
        "metric": measurement.metric,
        "value": measurement.value,
        "reference": reference,
        "ratio": measurement.value / reference if reference else None,
        "warn_ratio": 1 - bounds.warn_ratio,
        "fail_ratio": 1 - bounds.fail_ratio,
        "noise_ratio": bounds.noise_ratio,
        "spread_ratio": measurement.spread_ratio,
        "against": list(against),
    }


def own_noise(measurement: Measurement, standard_error_ratio: float, limits: Limits) -> float:
    """What the noise of two measurements like this one explains of their difference."""
    return float(limits.noise_factor * standard_error_ratio * 2**0.5) if measurement.series else 0.0
