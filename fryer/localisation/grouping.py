"""Which groups to measure next: all in groups of eight, then those that fail halved until one node is left.

A half is filled up with nodes whose groups passed, so that the size, at which the fault shows, stays the same. Where no
half is bad any more, the pairs between them are measured.
"""

from collections.abc import Iterable, Mapping

from fryer.localisation.bisection import Group, GroupBlame
from fryer.localisation.known import Pair
from fryer.localisation.settings import Settings
from fryer.localisation.state import State

_Free = dict[str, None]
"""Nodes that this round does not use yet, in order."""


def next_groups(state: State, settings: Settings) -> tuple[list[Group], str]:
    """Disjoint groups for the next round; none when groups can teach no more. The ends of a bad path stay apart."""
    trusted = set(state.pairs.trusted) - state.known.absences.keys() - state.groups.convicts.keys()
    nodes = [node for node in state.nodes if node in trusted]
    apart, size = _apart(state.pairs.paths), settings.group_size
    in_bad = {node for measured, _ in state.groups.open_groups for node in measured.nodes}
    in_good = set(state.groups.passed)
    fresh = dict.fromkeys(node for node in nodes if node not in in_bad and node not in in_good)
    groups: list[Group] = []
    while len(rest := _fill((), fresh, size, apart)) == size:
        groups.append(rest)
    if not state.groups.num_groups:
        return groups, "groups of nodes that passed in pairs"
    free = dict.fromkeys(node for node in state.groups.passed if node in trusted)
    whys = ["groups of nodes that passed in pairs"] if groups else []
    for part, why in _parts(state.groups, trusted, rest):
        filled = _fill_up(part, free, state.groups, size, apart)
        if len(filled) == size or (not state.groups.passed and len(filled) > 2):
            groups.append(filled)
            whys.append(why)
    used = {node for group in groups for node in group}
    for group, why in _again(state):
        if used.isdisjoint(group) and trusted.issuperset(group):
            groups.append(group)
            whys.append(why)
            used.update(group)
    return groups, ", ".join(dict.fromkeys(whys))


def _parts(groups: GroupBlame, present: set[str], rest: Group) -> Iterable[tuple[Group, str]]:
    """The halves of each smallest set of suspects, one that is left alone once more, and who was in no group yet."""
    seen: set[str] = set()
    for _, left in groups.open_groups:
        here = tuple(node for node in left if node in present)
        if len(here) == 1 and any(here[0] in pair for pair in groups.doubtful):
            continue
        if here and seen.isdisjoint(here):
            seen.update(here)
            middle = (len(here) + 1) // 2
            for part in (here[:middle], here[middle:]):
                if part:
                    yield part, "halves of bad groups, filled up with nodes whose groups passed"
    if rest:
        yield rest, "the last nodes in a group"


def _again(state: State) -> Iterable[tuple[Group, str]]:
    """Pairs of bad groups without a suspect; bad paths that this found; and if it found none, the group once more."""
    for pair in state.pairs.paths:
        if state.known.pairs[pair].num_trials < 2:
            yield pair, "bad paths again"
    for pair in state.groups.doubtful:
        yield pair, "pairs of bad groups whose members passed elsewhere"
    if not state.groups.doubtful:
        for measured, left in state.groups.open_groups:
            if not left and measured.num_trials < 2:
                yield measured.nodes, "bad groups again"


def _apart(paths: Iterable[Pair]) -> Mapping[str, set[str]]:
    apart: dict[str, set[str]] = {}
    for a, b in paths:
        apart.setdefault(a, set()).add(b)
        apart.setdefault(b, set()).add(a)
    return apart


def _fill(part: Group, free: _Free, size: int, apart: Mapping[str, set[str]]) -> Group:
    """`part` with the first nodes of `free` that go with it, up to `size`; what is used is free no more.

    Nothing is used when `part` is given and cannot be filled up.
    """
    taken = list(part)
    for node in free:
        if len(taken) >= size:
            break
        if node not in taken and apart.get(node, set()).isdisjoint(taken):
            taken.append(node)
    if len(taken) == size or not part:
        for node in taken:
            free.pop(node, None)
    return tuple(taken)


def _fill_up(part: Group, free: _Free, groups: GroupBlame, size: int, apart: Mapping[str, set[str]]) -> Group:
    """`part` with nodes of one good group, so that no path among these is to blame, else with a mixture.

    Nodes that stood in a bad group with one of `part` come last, lest a path to one of them is taken for a node.
    """
    met = {node for m, _ in groups.open_groups if not set(part).isdisjoint(m.nodes) for node in m.nodes}
    for group in groups.good:
        fillers = dict.fromkeys(node for node in group if node in free and node not in met)
        if len(filled := _fill(part, fillers, size, apart)) == size:
            for node in filled:
                free.pop(node, None)
            return filled
    ordered = dict.fromkeys(sorted(free, key=lambda node: node in met))
    filled = _fill(part, ordered, size, apart)
    if len(filled) == size:
        for node in filled:
            free.pop(node, None)
    return filled
