"""A loaded GPU that draws far less than its neighbours, more than its limit, or whose limit was set below theirs.

Only against neighbours of the same part under the same load: how much a job draws is the job's own affair, and all of
them low is a job that waits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median, mode

from watchdog.detectors.held import held
from watchdog.detectors.reading import Thresholds, each, label, neighbours, number
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Window
from watchdog.vocabulary.subjects import Subject

CODES = ("power_low", "power_over_limit", "power_limit_low")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds. All WARN: what power costs is judged by clocks and steps."""

    loaded_ratio: float = 0.9
    """Utilisation from which a GPU is loaded (ours)."""
    period_seconds: float = 120.0
    """Loaded without a break, and power averaged over it (ours)."""
    low_ratio: float = 0.6
    """Of the median of the loaded neighbours: healthy GPUs of one node differ by up to 22 % (Sinha et al., SC22), and a
    power-capped one by more."""
    least_neighbours: int = 3
    """Loaded neighbours that a median needs (ours)."""
    over_ratio: float = 1.1
    """Of its own limit: NVML's power is a mean over 1 s and good to 5 % (nvml.h), and this is a mean of those."""
    limit_ratio: float = 0.99
    """Of the limit that most neighbours have."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """WARN for each GPU by each of the three rules."""
    means = {
        subject: mean for subject in sorted(window.series("power_watts")) if (mean := _mean(window, limits, subject))
    }
    return [*_low(window, limits, means), *_over(window, limits, means), *_limits(window, limits)]


def _mean(window: Window, limits: Limits, subject: Subject) -> float | None:
    """Mean power over the last minutes; None for a GPU that was not loaded in all of them."""
    begin = window.now - limits.period_seconds
    load = window.series("utilization_ratio").get(subject)
    if load is None or load.newest < limits.loaded_ratio:
        return None
    state = held(load.since(begin - limits.period_seconds), lambda value: value >= limits.loaded_ratio)
    values = window.series("power_watts")[subject].since(begin).values
    return fmean(values) if state and state.seconds >= limits.period_seconds and len(values) > 1 else None


def _low(window: Window, limits: Limits, means: dict[Subject, float]) -> Iterator[Finding]:
    for subject, mean in means.items():
        others = [means[other] for other in neighbours(window, subject) if other in means]
        if len(others) < limits.least_neighbours or mean >= limits.low_ratio * median(others):
            continue
        yield Finding(
            source="power",
            subject=subject,
            severity=Severity.WARN,
            code="power_low",
            message=f"{label(window, subject)} draws {mean:.0f} W under load where its neighbours draw "
            f"{median(others):.0f} W: it is held down, or it waits",
            action="inspect",
            since=window.now - limits.period_seconds,
            evidence={"power_watts": mean, "neighbours_watts": median(others), "num_neighbours": len(others)},
        )


def _over(window: Window, limits: Limits, means: dict[Subject, float]) -> Iterator[Finding]:
    for subject, mean in means.items():
        limit = number(window, subject, "power_limit_watts")
        if limit is None or mean <= limits.over_ratio * limit:
            continue
        yield Finding(
            source="power",
            subject=subject,
            severity=Severity.WARN,
            code="power_over_limit",
            message=f"{label(window, subject)} draws {mean:.0f} W, above its limit of {limit:.0f} W",
            action="inspect",
            since=window.now - limits.period_seconds,
            evidence={"power_watts": mean, "power_limit_watts": limit},
        )


def _limits(window: Window, limits: Limits) -> Iterator[Finding]:
    for subject, series in each(window, "power_watts"):
        own = number(window, subject, "power_limit_watts")
        known = (number(window, other, "power_limit_watts") for other in neighbours(window, subject))
        others = sorted((watts for watts in known if watts is not None), reverse=True)
        if own is None or len(others) < limits.least_neighbours or own >= limits.limit_ratio * mode(others):
            continue
        yield Finding(
            source="power",
            subject=subject,
            severity=Severity.WARN,
            code="power_limit_low",
            message=f"the power limit of {label(window, subject)} is {own:.0f} W, that of its neighbours "
            f"{mode(others):.0f} W: nvidia-smi -i {subject.name} -pl {mode(others):.0f}",
            action="inspect",
            since=series.at[0],
            evidence={"power_limit_watts": own, "neighbours_watts": mode(others)},
        )
