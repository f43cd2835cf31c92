"""What can only be said of the fleet as a whole: when no single node may be blamed, and how far the figures carry."""

from collections.abc import Iterable, Sequence

from fryer.localisation.known import Measured, gather
from fryer.localisation.limits import best_of, healthy_figure
from fryer.localisation.proof import TWO_NODES, show_rate
from fryer.localisation.settings import Settings
from fryer.localisation.state import State
from fryer.localisation.words import Trial

_LOOK = "look at what they share: fabric, driver, NCCL's settings, or the expected figure"
_FAR_ABOVE = 0.9
"""The healthy figure may be this small a part of a pair's before it is said that some pairs give far more."""


def sentences(state: State, settings: Settings) -> Iterable[str]:
    """Sentences on the whole fleet, the gravest first; none when there is nothing to say."""
    if len(state.nodes) < 2:
        yield "One node: there is nothing between nodes to measure"
        return
    convicts, below = state.convicts, state.below_platform(settings)
    if state.is_most(list(convicts)):
        yield (
            f"{len(convicts)} of {len(state.measured)} nodes failed with the others: more than half, so that no single "
            f"one is blamed; {_LOOK}"
        )
    if len(state.nodes) > 2 and state.measured and len(state.pairs.trusted) < 2:
        yield f"No two of {len(state.measured)} nodes passed with each other: no single one is blamed; {_LOOK}"
    if below:
        best = best_of(state.known)
        yield (
            f"{len(below)} of {len(state.measured)} nodes give at best {show_rate(max(best[n] for n in below))} of the "
            f"{show_rate(settings.expected_bytes_per_second)} that the platform should give; {_LOOK}"
        )
    elif settings.expected_bytes_per_second is None:
        yield from _without_platform(state)
    if state.limits.noise_ratio > settings.noise_ratio:
        yield (
            f"Repeats scatter by {100 * state.limits.noise_ratio:.0f} %: only what lies under "
            f"{100 * state.limits.least_ratio:.0f} % of the healthy figure is told apart"
        )
    yield from (interplay_sentence(state, measured) for measured in state.groups.interplay)


def _without_platform(state: State) -> Iterable[str]:
    """How far the fleet's own figure carries."""
    expected = state.limits.pair_bytes_per_second
    medians = [m.median for m in state.known.pairs.values() if m.median is not None and not m.num_broken]
    if len(state.nodes) == 2 and medians:
        yield (
            f"One pair and no figure of the platform: {show_rate(medians[0])} was compared with nothing; give the "
            "expected figure to have it judged"
        )
    above = [value for value in medians if expected is not None and value * _FAR_ABOVE > expected]
    if len(above) > 1:
        yield (
            f"{len(above)} of {len(medians)} pairs give far more than the {show_rate(expected)} of the others, up to "
            f"{show_rate(max(above))}: most of the fleet may be slow; give the platform's figure"
        )


def below_words(state: State, node: str, settings: Settings) -> str:
    """A node that is slow against the platform's figure as most others are."""
    given = settings.expected_bytes_per_second
    best = best_of(state.known)[node]
    if len(state.nodes) == 2:
        return f"{'-'.join(sorted(state.nodes))} gave {show_rate(best)} of {show_rate(given)}: {TWO_NODES}"
    return f"{node} gave at best {show_rate(best)} of {show_rate(given)}, as most of the fleet: not its own fault alone"


def interplay_sentence(state: State, measured: Measured) -> str:
    """A group that is bad as a whole while each part of it is good with others."""
    return (
        f"The group {' '.join(measured.nodes)} gave {show_rate(measured.median)} of "
        f"{show_rate(state.limits.group_bytes_per_second)}, measured {measured.num_trials} times, though each member "
        "passed in other groups: look at the switches between them"
    )


def rail_figure(trials: Sequence[Trial]) -> float | None:
    """What a pair gives on one rail alone, in bytes per second: over all rails, since rails are alike."""
    rails = {trial.rail for trial in trials if trial.rail is not None}
    medians = [m.median for rail in rails for m in gather(trials, rail).pairs.values() if m.median is not None]
    return healthy_figure(medians, medians, Settings().least_ratio, None)
