"""Who is to blame for bad pairs: nodes, paths between nodes, or nobody yet.

A pair that passed proves both nodes and the path (of constant faults). So a node that passes with nobody is suspect,
and convicted once it failed with enough proven partners; a bad pair of two proven nodes is a path, or one of them is
unsteady: that one is bad with several partners, its partners with it alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from fryer.localisation.known import Known, Pair
from fryer.localisation.limits import Limits, Outcome
from fryer.localisation.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame:
    """The state of knowledge after some rounds of pairs."""

    partners: Mapping[str, Mapping[str, Outcome]]
    """By node: with whom it measured, and how that came out."""
    trusted: tuple[str, ...]
    """Passed with at least one, and not convicted: the least spotted first."""
    convicts: Mapping[str, Outcome]
    """Nodes at fault, and how."""
    suspects: tuple[str, ...]
    """Bad with all they met, and not convicted."""
    paths: tuple[Pair, ...]
    """Bad pairs of two nodes that both pass with others."""

    def passed(self, node: str) -> list[str]:
        """Partners that it passed with."""
        return [p for p, outcome in self.partners.get(node, {}).items() if outcome is Outcome.PASSED]

    def failed(self, node: str) -> list[str]:
        """Partners that it was bad with."""
        return [p for p, outcome in self.partners.get(node, {}).items() if outcome is not Outcome.PASSED]


def blame_pairs(nodes: Sequence[str], known: Known, limits: Limits, settings: Settings) -> Blame:
    """Convict, clear or suspect every node that measured, by pairs alone."""
    partners: dict[str, dict[str, Outcome]] = {node: {} for node in nodes}
    for (a, b), measured in known.pairs.items():
        outcome = limits.outcome(measured)
        partners.setdefault(a, {})[b] = outcome
        partners.setdefault(b, {})[a] = outcome
    proven = {node for node, met in partners.items() if Outcome.PASSED in met.values()}
    unsteady = _unsteady(partners, proven)
    trusted = proven - unsteady.keys()
    convicts = unsteady | _constant(partners, proven, trusted, settings.partners_to_convict)
    return Blame(
        partners=partners,
        trusted=tuple(sorted(trusted, key=lambda node: _spots(partners[node], convicts))),
        convicts=convicts,
        suspects=tuple(n for n, met in partners.items() if met and n not in proven and n not in convicts),
        paths=tuple(
            pair
            for pair in known.pairs
            if partners[pair[0]][pair[1]] is not Outcome.PASSED
            and all(node in proven and node not in convicts for node in pair)
        ),
    )


def _spots(met: Mapping[str, Outcome], convicts: Collection[str]) -> int:
    """Bad pairs that no convict explains."""
    return sum(outcome is not Outcome.PASSED and partner not in convicts for partner, outcome in met.items())


def _constant(
    partners: Mapping[str, Mapping[str, Outcome]], proven: Collection[str], trusted: set[str], to_convict: int
) -> dict[str, Outcome]:
    """Nodes that passed with nobody, and failed with enough trusted partners."""
    convicts: dict[str, Outcome] = {}
    if len(trusted) < 2:
        return {}
    for node, met in partners.items():
        witnesses = [outcome for partner, outcome in met.items() if partner in trusted]
        if node not in proven and len(witnesses) >= min(to_convict, len(trusted)):
            convicts[node] = gravest_outcome(witnesses)
    return convicts


def _unsteady(partners: Mapping[str, Mapping[str, Outcome]], proven: Collection[str]) -> dict[str, Outcome]:
    """Proven nodes that are bad with two partners or more, not always, while those are bad with fewer.

    Wrong sums count whether they come each time or not: a path may be slow by its wiring, but it may not change data.
    """
    open_pairs: dict[str, dict[str, Outcome]] = {}
    for node in proven:
        bad: dict[str, Outcome] = {p: o for p, o in partners[node].items() if o is not Outcome.PASSED and p in proven}
        if bad:
            open_pairs[node] = bad
    convicts: dict[str, Outcome] = {}
    while (found := _worst(open_pairs)) is not None:
        outcomes = open_pairs.pop(found)
        convicts[found] = gravest_outcome(outcomes.values())
        for partner in outcomes:
            open_pairs.get(partner, {}).pop(found, None)
    return convicts


def _worst(open_pairs: Mapping[str, Mapping[str, Outcome]]) -> str | None:
    """The node with most bad pairs, if at least two of its partners have fewer and the faults do not stand still."""
    for node in sorted(open_pairs, key=lambda name: (-len(open_pairs[name]), name)):
        bad = open_pairs[node]
        if len(bad) < 2:
            return None
        cleaner = [p for p in bad if len(open_pairs.get(p, {})) < len(bad)]
        if len(cleaner) >= 2 and any(o in (Outcome.UNSTEADY, Outcome.WRONG) for o in bad.values()):
            return node
    return None


def gravest_outcome(outcomes: Collection[Outcome]) -> Outcome:
    """Of several bad outcomes the one that names the fault: wrong sums first, then what most of them were."""
    if Outcome.WRONG in outcomes:
        return Outcome.WRONG
    order = (Outcome.BROKEN, Outcome.SLOW, Outcome.UNSTEADY)
    counted = list(outcomes)
    return max(order, key=lambda outcome: (counted.count(outcome), -order.index(outcome)))
