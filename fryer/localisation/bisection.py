"""Faults that show only in larger groups: who is to blame when groups of eight are bad, though their pairs passed.

The state follows from the trials alone: suspect in a bad group is who was never in a good one. When nobody is left, two
members may be at odds that never stood together in a good group.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from fryer.localisation.blame import gravest_outcome
from fryer.localisation.known import Known, Measured, Pair
from fryer.localisation.limits import Limits, Outcome

Group = tuple[str, ...]
_Alone = dict[str, list[tuple[Measured, Outcome]]]
_MANY = 4
"""After so many bad groups with one suspect left (eight halved to one), single paths are measured, not more groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupBlame:
    """The state of knowledge after some rounds of groups."""

    passed: tuple[str, ...]
    """Nodes of good groups."""
    good: tuple[Group, ...]
    """Good groups."""
    convicts: Mapping[str, Outcome]
    """Nodes that alone are suspect in bad groups, when no two bad paths explain all of these."""
    left_alone: tuple[str, ...]
    """Nodes that alone are suspect, and not convicted."""
    open_groups: tuple[tuple[Measured, Group], ...]
    """Bad groups that no convict and no bad path explains, with their suspects; the fewest suspects first."""
    doubtful: tuple[Pair, ...]
    """Pairs that may explain bad groups: never measured, neither alone nor together in a good group."""
    interplay: tuple[Measured, ...]
    """Groups measured twice and bad, though all members, and all pairs of them, are good elsewhere."""
    num_groups: int


def blame_groups(known: Known, limits: Limits, excused: Iterable[str], paths: Iterable[Pair]) -> GroupBlame:
    """Judge the groups. A bad one with an `excused` node (at fault otherwise) or both ends of a path says nothing."""
    outcomes = [(measured, limits.outcome(measured)) for measured in known.groups]
    passed = dict.fromkeys(n for measured, outcome in outcomes if outcome is Outcome.PASSED for n in measured.nodes)
    known_bad, apart = set(excused), tuple(paths)
    bad = [
        (measured, outcome)
        for measured, outcome in outcomes
        if outcome is not Outcome.PASSED
        and known_bad.isdisjoint(measured.nodes)
        and not any(a in measured.nodes and b in measured.nodes for a, b in apart)
    ]
    good = tuple(m.nodes for m, outcome in outcomes if outcome is Outcome.PASSED)
    alone = _alone(bad, passed)
    paths_of = {node: _explaining([_doubtful(m.nodes, good, known) for m, _ in seen]) for node, seen in alone.items()}
    convicts = {node: gravest_outcome([o for _, o in seen]) for node, seen in alone.items() if not paths_of[node]}
    unexplained = [measured for measured, _ in bad if convicts.keys().isdisjoint(measured.nodes)]
    left_over = [(m, tuple(node for node in m.nodes if node not in passed)) for m in unexplained]
    cleared = [m for m, left in left_over if not left]
    doubtful = [pair for core in _cores(cleared) for pair in sorted(_doubtful(core, good, known))]
    doubtful += [pair for node, seen in alone.items() if len(seen) >= _MANY for pair in paths_of[node]]
    return GroupBlame(
        passed=tuple(node for node in passed if node not in convicts and node not in known_bad),
        good=good,
        convicts=convicts,
        left_alone=tuple(node for node in alone if node not in convicts),
        open_groups=tuple(sorted(left_over, key=lambda item: len(item[1]))),
        doubtful=tuple(dict.fromkeys(doubtful)),
        interplay=tuple(m for m in cleared if m.num_trials > 1),
        num_groups=len(outcomes),
    )


def _alone(bad: Sequence[tuple[Measured, Outcome]], passed: Mapping[str, None]) -> _Alone:
    """By node: the bad groups in which it is the only suspect."""
    alone: _Alone = {}
    for measured, outcome in bad:
        left = [node for node in measured.nodes if node not in passed]
        if len(left) == 1:
            alone.setdefault(left[0], []).append((measured, outcome))
    return alone


def _explaining(groups: Sequence[set[Pair]]) -> list[Pair]:
    """Pairs of which one, or two together, occur in every group (given as doubtful pairs); the most telling first."""
    ways: Counter[Pair] = Counter()
    for pair in set[Pair]().union(*groups):
        others = [group for group in groups if pair not in group]
        for other in set.intersection(*others) if others else {pair}:
            ways[pair] += 1
            ways[other] += 1
    return sorted(ways, key=lambda pair: (-ways[pair], pair))


def _cores(groups: Iterable[Measured]) -> list[frozenset[str]]:
    """What bad groups without suspects have in common; at least two nodes, since none is bad by itself."""
    cores: list[frozenset[str]] = []
    for members in (frozenset(group.nodes) for group in groups):
        shared = next((i for i, core in enumerate(cores) if len(core & members) > 1), None)
        if shared is None:
            cores.append(members)
        else:
            cores[shared] &= members
    return cores


def _doubtful(nodes: Iterable[str], good: Sequence[Group], known: Known) -> set[Pair]:
    members = set(nodes)
    together = [members.intersection(group) for group in good]
    return {
        (a, b)
        for a, b in combinations(sorted(members), 2)
        if (a, b) not in known.pairs and not any(a in group and b in group for group in together)
    }
