"""A fleet whose faults are known: it answers rounds as a true one would, with noise and from a seed."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fryer.localise import Localisation, Round, Settings, Trial, localise, next_round

HEALTHY = 378e9
"""Bus bandwidth of a healthy pair, in bytes per second."""


@dataclass(kw_only=True)
class World:
    """Faults by name. A group is as fast as its slowest member and its slowest path."""

    nodes: Sequence[str]
    slow: Mapping[str, float] = field(default_factory=dict)
    """By node: the factor, 0.9 for 10 % slow."""
    slow_in_groups: Mapping[str, float] = field(default_factory=dict)
    """Shows in groups of more than two."""
    slow_paths: Mapping[frozenset[str], float] = field(default_factory=dict)
    flaky: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By node: the share of repeats that drop, and the factor they drop to."""
    flaky_paths: Mapping[frozenset[str], tuple[float, float]] = field(default_factory=dict)
    wrong: Iterable[str] = ()
    """Sums are wrong whenever it takes part."""
    broken: Iterable[str] = ()
    """Groups with it break, and nobody knows whose fault it is."""
    dies: Mapping[str, int] = field(default_factory=dict)
    """By node: the first round that it doesn't come to."""
    noise: float = 0.0
    busy: float = 0.0
    """Mean share of its rate that a whole trial loses, exponentially: others use the machines meanwhile."""
    seed: int = 0
    healthy: float = HEALTHY

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def answer(self, asked: Round) -> list[Trial]:
        """One trial a group."""
        return [self.trial(asked.number, group, asked.repeats) for group in asked.groups]

    def trial(self, number: int, group: Sequence[str], repeats: int) -> Trial:
        missing = tuple(node for node in group if number >= self.dies.get(node, 10**9))
        if missing:
            return Trial(round=number, nodes=tuple(group), values=(), problem="did not come", missing=missing)
        if any(node in self.broken for node in group):
            return Trial(round=number, nodes=tuple(group), values=(), problem="the connection was reset")
        left = max(0.2, 1 - self.random.expovariate(1 / self.busy)) if self.busy else 1.0
        return Trial(
            round=number,
            nodes=tuple(group),
            values=tuple(left * self.value(group) for _ in range(repeats)),
            num_wrong=sum(17 for node in group if node in self.wrong),
        )

    def value(self, group: Sequence[str]) -> float:
        factors = [self.slow.get(node, 1.0) for node in group]
        if len(group) > 2:
            factors += [self.slow_in_groups.get(node, 1.0) for node in group]
        members = set(group)
        factors += [factor for path, factor in self.slow_paths.items() if path <= members]
        drops = [self.flaky[node] for node in group if node in self.flaky]
        drops += [drop for path, drop in self.flaky_paths.items() if path <= members]
        factors += [factor for share, factor in drops if self.random.random() < share]
        return self.healthy * min(factors) * max(0.01, self.random.gauss(1.0, self.noise) if self.noise else 1.0)

    def run(self, settings: Settings) -> tuple[Localisation, list[Round], list[Trial]]:
        """All rounds that are asked for, then the conclusion."""
        trials: list[Trial] = []
        rounds: list[Round] = []
        while (asked := next_round(self.nodes, trials, settings)) is not None:
            rounds.append(asked)
            trials += self.answer(asked)
        return localise(self.nodes, trials, settings), rounds, trials


def names(count: int) -> tuple[str, ...]:
    """``node001`` and on."""
    return tuple(f"node{i:03d}" for i in range(1, count + 1))


def path(a: int, b: int) -> frozenset[str]:
    """The path between two nodes by number."""
    return frozenset((f"node{a:03d}", f"node{b:03d}"))
