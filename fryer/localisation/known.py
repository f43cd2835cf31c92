"""What is known of each set of nodes that measured together: all its trials in one place. Judges nothing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from fryer.localisation.words import Trial

Pair = tuple[str, str]
"""Two names in the order of `sorted`."""
_LEAST, _MOST = 1.0, 1e18
"""No rate lies outside, in bytes per second: a value that does, or that is no number, was not measured."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All that one set of nodes gave, over all its trials."""

    nodes: tuple[str, ...]
    """Sorted."""
    trials: tuple[tuple[float, ...], ...]
    """By trial: its values, of all that gave some."""
    num_trials: int
    num_broken: int
    """Trials that gave no value, or fewer than asked."""
    num_wrong: int
    """Elements."""
    problem: str
    """The last one; empty: none."""

    @cached_property
    def values(self) -> tuple[float, ...]:
        """Of all trials."""
        return tuple(value for values in self.trials for value in values)

    @cached_property
    def best_trial(self) -> tuple[float, ...]:
        """The values of the trial with the highest median; empty without any."""
        return max(self.trials, key=median, default=())

    @cached_property
    def median(self) -> float | None:
        """Bytes per second over all repeats; None without any."""
        return median(self.values) if self.values else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All trials of one rail, by the set of nodes."""

    pairs: Mapping[Pair, Measured]
    groups: tuple[Measured, ...]
    """Of three nodes and more, in the order of their first trial."""
    absences: Mapping[str, tuple[tuple[str, ...], ...]]
    """By node: the sets of nodes that it did not come to since it last took part."""
    last_round: int
    """0: none yet."""
    num_rounds: int


def gather(trials: Iterable[Trial], rail: int | None) -> Known:
    """Pool the trials of `rail` (None: of all GPUs together). Values that are no rates count as missing."""
    own = [trial for trial in trials if trial.rail == rail]
    seen = _last_seen(own)
    absences: defaultdict[str, list[tuple[str, ...]]] = defaultdict(list)
    pooled: defaultdict[tuple[str, ...], list[Trial]] = defaultdict(list)
    for trial in own:
        nodes = tuple(sorted(set(trial.nodes)))
        gone = {node for node in _missing(trial, nodes) if seen.get(node, 0) <= trial.round}
        for node in gone:
            absences[node].append(nodes)
        if not gone and len(nodes) > 1:
            pooled[nodes].append(trial)
    measured = [_pool(nodes, group) for nodes, group in pooled.items()]
    return Known(
        pairs={(m.nodes[0], m.nodes[1]): m for m in measured if len(m.nodes) == 2},
        groups=tuple(m for m in measured if len(m.nodes) > 2),
        absences={node: tuple(sets) for node, sets in absences.items()},
        last_round=max((trial.round for trial in own), default=0),
        num_rounds=len({trial.round for trial in own}),
    )


def _missing(trial: Trial, nodes: Sequence[str]) -> set[str]:
    """Who did not come; nobody when all are named, since then nobody knows who it was."""
    missing = set(trial.missing) & set(nodes)
    return missing if len(missing) < len(nodes) else set()


def _last_seen(trials: Iterable[Trial]) -> dict[str, int]:
    """The last round in which a node took part. One that came back later was not gone: its path broke."""
    seen: dict[str, int] = {}
    for trial in trials:
        if trial.values:
            for node in set(trial.nodes) - set(trial.missing):
                seen[node] = max(seen.get(node, trial.round), trial.round)
    return seen


def _pool(nodes: tuple[str, ...], trials: Sequence[Trial]) -> Measured:
    good = [tuple(value for value in trial.values if _LEAST < value < _MOST) for trial in trials]
    broken = [
        bool(trial.problem) or not values or len(values) < len(trial.values) or bool(trial.missing)
        for trial, values in zip(trials, good, strict=True)
    ]
    return Measured(
        nodes=nodes,
        trials=tuple(values for values in good if values),
        num_trials=len(trials),
        num_broken=sum(broken),
        num_wrong=sum(max(0, trial.num_wrong) for trial in trials),
        problem=next((trial.problem for trial in reversed(trials) if trial.problem), ""),
    )
