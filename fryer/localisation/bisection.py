"""Faults that show only in larger groups: who is to blame when groups of eight are bad, though their pairs passed.

The state follows from the trials alone: suspect in a bad group is who was never in a good one. When nobody is left, two
members may be at odds that never stood together in a good group.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from fryer.localisation.blame import gravest_outcome
from fryer.localisation.known import Known, Measured, Pair
from fryer.localisation.limits import Limits, Outcome

Group = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupBlame:
    """The state of knowledge after some rounds of groups."""

    passed: tuple[str, ...]
    """Nodes of good groups."""
    convicts: Mapping[str, Outcome]
    """Nodes that alone are suspect in bad groups, and all that these groups have in common."""
    open_groups: tuple[tuple[Measured, Group], ...]
    """Bad groups that no convict and no bad path explains, with their suspects; the fewest suspects first."""
    doubtful: tuple[Pair, ...]
    """Pairs of bad groups without a suspect that were never measured, alone or together in a good group."""
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
    convicts = _left_alone(bad, passed)
    unexplained = [measured for measured, _ in bad if convicts.keys().isdisjoint(measured.nodes)]
    left_over = [(m, tuple(node for node in m.nodes if node not in passed)) for m in unexplained]
    cleared = [m for m, left in left_over if not left]
    good = [frozenset(m.nodes) for m, outcome in outcomes if outcome is Outcome.PASSED]
    doubtful = tuple(dict.fromkeys(pair for core in _cores(cleared) for pair in _doubtful(core, good, known)))
    return GroupBlame(
        passed=tuple(node for node in passed if node not in convicts and node not in known_bad),
        convicts=convicts,
        open_groups=tuple(sorted(left_over, key=lambda item: len(item[1]))),
        doubtful=doubtful,
        interplay=tuple(m for m in cleared if m.num_trials > 1),
        num_groups=len(outcomes),
    )


def _left_alone(bad: Sequence[tuple[Measured, Outcome]], passed: Mapping[str, None]) -> dict[str, Outcome]:
    """Nodes that are the only suspect of bad groups which share nothing else: no other member, so no path to one."""
    alone: dict[str, list[tuple[Measured, Outcome]]] = {}
    for measured, outcome in bad:
        left = [node for node in measured.nodes if node not in passed]
        if len(left) == 1:
            alone.setdefault(left[0], []).append((measured, outcome))
    return {
        node: gravest_outcome([outcome for _, outcome in seen])
        for node, seen in alone.items()
        if frozenset.intersection(*(frozenset(m.nodes) for m, _ in seen)) == {node}
    }


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


def _doubtful(core: frozenset[str], good: Sequence[frozenset[str]], known: Known) -> Iterable[Pair]:
    for a, b in combinations(sorted(core), 2):
        if (a, b) not in known.pairs and not any(a in group and b in group for group in good):
            yield a, b
