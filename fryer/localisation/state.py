"""All that follows from the trials so far, worked out once: for the next round and for the end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fryer.localisation.bisection import GroupBlame, blame_groups
from fryer.localisation.blame import Blame, blame_pairs
from fryer.localisation.known import Known, gather
from fryer.localisation.limits import Limits, Outcome, best_of, limits_of
from fryer.localisation.settings import Settings
from fryer.localisation.words import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One rail's knowledge (or that of all GPUs together)."""

    nodes: tuple[str, ...]
    known: Known
    limits: Limits
    pairs: Blame
    groups: GroupBlame

    @property
    def gone(self) -> tuple[str, ...]:
        """Nodes that did not come when they were last asked."""
        return tuple(node for node in self.nodes if node in self.known.absences)

    @property
    def measured(self) -> tuple[str, ...]:
        """Nodes that met at least one partner."""
        return tuple(node for node in self.nodes if self.pairs.partners.get(node))

    @property
    def convicts(self) -> dict[str, Outcome]:
        """Nodes at fault by pairs, then by groups."""
        return {**self.groups.convicts, **self.pairs.convicts}

    def is_most(self, nodes: Sequence[str]) -> bool:
        """Whether these are more than half of those measured."""
        return 2 * len(nodes) > len(self.measured)

    def below_platform(self, settings: Settings) -> tuple[str, ...]:
        """Nodes whose best pair is slow against the platform's figure, if they are at least half of the fleet."""
        given = settings.expected_bytes_per_second
        if given is None:
            return ()
        best = best_of(self.known)
        judged = [node for node in self.measured if node in best]
        slow = tuple(node for node in judged if best[node] < self.limits.least_ratio * given)
        return slow if slow and 2 * len(slow) >= len(judged) else ()


def state_of(nodes: Sequence[str], trials: Iterable[Trial], settings: Settings, rail: int | None) -> State:
    """Read the trials of `rail` from scratch: a few tens of milliseconds at 2,048 nodes."""
    known = gather(trials, rail)
    limits = limits_of(known, settings)
    pairs = blame_pairs(nodes, known, limits, settings)
    groups = blame_groups(known, limits, [*pairs.convicts, *known.absences], pairs.paths)
    return State(nodes=tuple(nodes), known=known, limits=limits, pairs=pairs, groups=groups)
