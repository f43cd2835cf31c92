"""How the figures of a part moved from run to run. Pure arithmetic: it judges nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

from watchdog.store.rows import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A figure beside those that the same device gave before it, in the same case of the same burn."""

    figure: Figure
    change_from_previous_ratio: float | None
    """``-0.03``: 3 % lower. None where there is no earlier figure, or it allows no ratio (0, not a number)."""
    change_from_first_ratio: float | None


def drifts(figures: Iterable[Figure]) -> list[Drift]:
    """`figures` (oldest first) with their changes, one series after the other, each oldest first.

    Simulated and real figures are different series, even where they share a UUID.
    """
    series: dict[tuple[str, ...], list[Figure]] = {}
    for figure in figures:
        key = (figure.uuid, figure.kind, figure.burn, figure.case, figure.metric)
        series.setdefault(key, []).append(figure)
    return [drift for key in sorted(series) for drift in _of_one(series[key])]


def _of_one(figures: Sequence[Figure]) -> list[Drift]:
    first = figures[0]
    found = [Drift(figure=first, change_from_previous_ratio=None, change_from_first_ratio=None)]
    for previous, figure in pairwise(figures):
        found.append(
            Drift(
                figure=figure,
                change_from_previous_ratio=_change(previous.value, figure.value),
                change_from_first_ratio=_change(first.value, figure.value),
            )
        )
    return found


def _change(before: float, after: float) -> float | None:
    if before == 0 or not isfinite(before) or not isfinite(after):
        return None
    return after / before - 1


def newest_runs(drifting: Iterable[Drift], limit: int) -> list[Drift]:
    """Those of the newest `limit` runs; changes still count from the first figure that is kept."""
    everything = list(drifting)
    started = {drift.figure.run_id: drift.figure.started_epoch_seconds for drift in everything}
    kept = set(sorted(started, key=lambda run_id: (started[run_id], run_id))[-limit:])
    return [drift for drift in everything if drift.figure.run_id in kept]
