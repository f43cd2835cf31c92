"""What a healthy group gives here, and where a group's outcome lies against it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from statistics import median

from fryer.localisation.known import Known, Measured
from fryer.localisation.settings import Settings

_QUARTILE = 0.7
"""The lower quartile of the standard deviation of five normal values, of the true one (chi, 4 degrees of freedom)."""
_LEAST_SCATTERS = 3


class Outcome(StrEnum):
    """What a set of nodes did, over all its trials."""

    PASSED = "passed"
    SLOW = "slow"
    UNSTEADY = "unsteady"
    """Some repeats or trials were bad and some were good."""
    BROKEN = "broken"
    """No trial came through."""
    WRONG = "wrong"
    """At least one element was not what it must be, at least once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Figures of healthy groups, and how far below them is slow."""

    pair_bytes_per_second: float | None
    """None: nothing came through, and the platform's figure is not known."""
    group_bytes_per_second: float | None
    noise_ratio: float
    """Assumed, or seen where that is much larger."""
    least_ratio: float
    """Of the healthy figure: below it a median is slow."""
    least_single_ratio: float
    """Below it one repeat is bad, whatever the noise."""
    good_single_ratio: float
    """From it on one repeat is good, whatever the noise."""

    def outcome(self, measured: Measured) -> Outcome:
        """Judge all trials of one set of nodes together."""
        expected = self.pair_bytes_per_second if len(measured.nodes) == 2 else self.group_bytes_per_second
        if measured.num_wrong:
            return Outcome.WRONG
        if measured.num_broken or measured.median is None or expected is None:
            return Outcome.BROKEN if measured.num_broken == measured.num_trials else Outcome.UNSTEADY
        if any(self._is_mixed(values, expected) for values in measured.trials):
            return Outcome.UNSTEADY
        # a fault that stands still lets no trial pass as a whole; others on the machines or the network do
        figure = measured.median if len(measured.nodes) > 2 else median(measured.best_trial)
        return Outcome.PASSED if figure >= self.least_ratio * expected else Outcome.SLOW

    def _is_mixed(self, values: Sequence[float], expected: float) -> bool:
        """Some repeats of one trial are bad and some are good."""
        return min(values) < self.least_single_ratio * expected and max(values) >= self.good_single_ratio * expected


def limits_of(known: Known, settings: Settings) -> Limits:
    """Healthy figures from the fleet itself, with the platform's where it is known."""
    noise = _noise(known, settings)
    least = min(settings.least_ratio, max(0.5, 1 - 2.5 * noise))
    pairs = [m.median for m in known.pairs.values() if m.median is not None and not m.num_broken]
    groups = [m.median for m in known.groups if m.median is not None and not m.num_broken]
    return Limits(
        pair_bytes_per_second=healthy_figure(
            list(best_of(known).values()), pairs, least, settings.expected_bytes_per_second
        ),
        group_bytes_per_second=healthy_figure(groups, groups, least, settings.expected_group_bytes_per_second),
        noise_ratio=noise,
        least_ratio=least,
        least_single_ratio=min(1 - 2.4 * (1 - least), max(0.25, 1 - 6 * noise)),
        good_single_ratio=(1 + least) / 2,
    )


def best_of(known: Known) -> Mapping[str, float]:
    """By node: the highest median of its pairs, in bytes per second; good as soon as a good node met another one."""
    best: dict[str, float] = {}
    for measured in known.pairs.values():
        if measured.median is not None and not measured.num_broken:
            for node in measured.nodes:
                best[node] = max(best.get(node, 0.0), measured.median)
    return best


def healthy_figure(bests: Sequence[float], medians: Sequence[float], least: float, given: float | None) -> float | None:
    """The median of all that is not slow, in bytes per second.

    Where to look for it: at the platform's figure if anything reaches that; else at the upper quartile of nodes by
    their best pair (the best of up to seven). After two matchings at least a quarter of nodes met a good one as long
    as 37 % or fewer are bad, wherever these are, since b bad nodes spoil at most 2 b of n pairs. Platform's figures
    are a few per cent off, so the fleet's own, near it, is the finer yardstick.
    """
    if not medians:
        return given
    if given is not None and any(value >= least * given for value in medians):
        figure = given
    else:
        figure = sorted(bests, reverse=True)[max(1, len(bests) // 4) - 1]
    for _ in range(20):
        inside = [value for value in medians if value >= least * figure]
        if not inside or (settled := median(inside)) == figure:
            break
        figure = settled
    return figure


def _noise(known: Known, settings: Settings) -> float:
    """The usual scatter within one pair, or the assumed one if what is seen is not clearly larger.

    The lower quartile, since unsteady nodes spoil up to half of the pairs of a small fleet; one or two pairs say
    nothing. Of k pairs it has a relative error of about 0.5 / sqrt(k); five of these are clearly larger.
    """
    seen = sorted(_scatters(known.pairs.values()))
    usual = seen[len(seen) // 4] / _QUARTILE if len(seen) >= _LEAST_SCATTERS else 0.0
    surely = max(1.25, 1 + 2.5 / sqrt(len(seen))) if seen else 0.0
    return usual if usual > surely * settings.noise_ratio else settings.noise_ratio


def _scatters(measured: Iterable[Measured]) -> Iterable[float]:
    """Relative standard deviation of each set of nodes that gave three values or more."""
    for m in measured:
        if len(m.values) >= 3:
            mean = sum(m.values) / len(m.values)
            yield sqrt(sum((value / mean - 1) ** 2 for value in m.values) / (len(m.values) - 1))
