"""Which pairs to measure next: two disjoint matchings, then who needs a partner, and which pair needs another look."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from fryer.localisation.blame import Blame
from fryer.localisation.known import Known, Pair
from fryer.localisation.limits import Outcome
from fryer.localisation.settings import Settings
from fryer.localisation.state import State

_FEW = 8
"""Up to so many nodes, all pairs are tried before it is said that no two pass with each other."""
_MILD_RATIO = 0.5
"""Of the healthy figure: what is no faster than this is no passing load, and is not measured again."""
_CONFIRMING = 2
"""Witnesses that a slow node meets again before it is blamed."""
_MOST_TRIALS = 3
"""Of one pair, the first one included."""
_ALL_PAIRS = 4
"""Up to so many nodes, all pairs are measured anyway: it takes one round more than the two matchings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One node that needs a measurement, with one of `partners`."""

    node: str
    partners: tuple[str, ...] | None
    """In order of preference; None: any trusted one that it did not meet yet."""
    why: str
    is_again: bool = False
    """A pair that was measured before is wanted once more."""


def matching(nodes: Sequence[str], turn: int) -> list[Pair]:
    """Round `turn` (from 0) of a round robin by the circle method: disjoint pairs, no pair twice in ``n - 1`` turns.

    Two turns in a row make one ring through all nodes, so that b bad nodes leave at least n - 2 b pairs good. With an
    odd number one node sits out: node 0 in turn 0, node 1 in turn 1.
    """
    ring, num_ring = list(nodes), len(nodes) - (len(nodes) + 1) % 2
    last = ring.pop() if len(ring) % 2 == 0 else None
    pairs = [(ring[(turn + k) % num_ring], ring[(turn - k) % num_ring]) for k in range(1, (num_ring + 1) // 2)]
    return [_pair(a, b) for a, b in ([(ring[turn % num_ring], last)] if last is not None else []) + pairs]


def next_pairs(state: State, settings: Settings) -> tuple[list[Pair], str]:
    """The pairs of the next round and why; none when pairs can teach no more. Who stayed away twice is left alone."""
    known, blame, number = state.known, state.pairs, state.known.last_round + 1
    nodes = [node for node in state.nodes if len(known.absences.get(node, ())) < 2]
    if number == 1:
        return matching(nodes, 0), "first matching"
    fresh = _fresh_matching(nodes, known)
    if number == 2 and fresh:
        return fresh, "second matching"
    if fresh and number == 3 and len(nodes) <= _ALL_PAIRS:
        return fresh, "the pairs that are left"
    nobody = len(blame.trusted) < 2 or len(state.below_platform(settings)) == len(state.measured)
    if nobody and fresh and (number == 3 or len(nodes) <= _FEW):
        return fresh, "another matching: no pair was good so far"
    return _schedule(nodes, known, blame, chain(wants(nodes, known, blame, settings), _confirmations(state)))


def _fresh_matching(nodes: Sequence[str], known: Known) -> list[Pair]:
    """The first turn none of whose pairs was measured; else the new pairs of the turn that has most. Up to 8 turns."""
    turns = ([p for p in matching(nodes, turn) if p not in known.pairs] for turn in range(min(8, len(nodes))))
    best: list[Pair] = []
    for pairs in turns:
        best = max(best, pairs, key=len)
        if len(best) == len(nodes) // 2:
            break
    return best


def wants(nodes: Sequence[str], known: Known, blame: Blame, settings: Settings) -> Iterator[Want]:
    """What each node still needs, the most urgent first."""
    yield from _lone_pair(nodes, known, blame, settings)
    for node in blame.suspects:
        yield Want(node=node, partners=_witnesses(blame, node), why="suspects with proven partners")
    for node in nodes:
        if len(known.absences.get(node, ())) == 1:
            yield Want(node=node, partners=None, why="nodes that did not come, with proven partners")
    short = tuple(node for node in nodes if len(blame.partners.get(node, {})) < 2 and node not in known.absences)
    for node in short:
        if node not in blame.suspects:
            yield Want(node=node, partners=(*short, *blame.trusted), why="nodes that had fewer than two partners")
    yield from _path_wants(known, blame, settings)


def _lone_pair(nodes: Sequence[str], known: Known, blame: Blame, settings: Settings) -> Iterator[Want]:
    """Two nodes: all that is left is to look again."""
    given = settings.expected_bytes_per_second or 0.0
    is_low = bool(blame.suspects) or any((m.median or 0.0) < settings.least_ratio * given for m in known.pairs.values())
    if len(nodes) == 2 and is_low and all(m.num_trials < 2 for m in known.pairs.values()):
        yield Want(node=nodes[0], partners=(nodes[1],), why="the pair again", is_again=True)


def _witnesses(blame: Blame, node: str) -> tuple[str, ...] | None:
    """Trusted partners that passed with one that `node` failed with: the best proof. None: it has no such yet."""
    trusted = set(blame.trusted)
    friends = [friend for partner in blame.failed(node) if partner in trusted for friend in blame.passed(partner)]
    return tuple(dict.fromkeys(friend for friend in friends if friend in trusted)) or None


def _path_wants(known: Known, blame: Blame, settings: Settings) -> Iterator[Want]:
    """A bad path is measured twice, as are the good pairs of an end with more bad ones; ends meet other partners."""
    clear = min(settings.partners_to_clear, len(blame.trusted) - 1)
    for a, b in blame.paths:
        if known.pairs[a, b].num_trials < 2:
            yield Want(node=a, partners=(b,), why="bad paths again", is_again=True)
    for node in dict.fromkeys(chain.from_iterable(blame.paths)):
        bad = [p for p in blame.failed(node) if p not in blame.convicts]
        good = blame.passed(node)
        if len(good) < clear:
            yield Want(node=node, partners=None, why="ends of bad paths with other partners")
        if len(bad) > 1 and len(good) <= len(bad):
            for partner in good:
                if known.pairs[_pair(node, partner)].num_trials < 2:
                    why = "good pairs of nodes with bad ones again"
                    yield Want(node=node, partners=(partner,), why=why, is_again=True)


def _confirmations(state: State) -> Iterator[Want]:
    """Convicts that are mildly slow, with two of their witnesses again: whoever used the machines then may be gone."""
    known, blame, expected = state.known, state.pairs, state.limits.pair_bytes_per_second
    trusted = set(blame.trusted)
    for node, outcome in blame.convicts.items():
        pairs = {partner: known.pairs[_pair(node, partner)] for partner in blame.failed(node) if partner in trusted}
        medians = [measured.median for measured in pairs.values() if measured.median is not None]
        if outcome is not Outcome.SLOW or expected is None or max(medians, default=0.0) <= _MILD_RATIO * expected:
            continue
        for partner, measured in list(pairs.items())[:_CONFIRMING]:
            if measured.num_trials < _MOST_TRIALS:
                yield Want(node=node, partners=(partner,), why="slow nodes with their witnesses again", is_again=True)


def _schedule(nodes: Sequence[str], known: Known, blame: Blame, wanted: Iterable[Want]) -> tuple[list[Pair], str]:
    """Disjoint pairs for as many wants as go at once. Suspects left over try each other: two good ones clear both."""
    free = dict.fromkeys(node for node in nodes if len(known.absences.get(node, ())) < 2)
    pairs: dict[Pair, str] = {}

    def take(node: str, partners: Iterable[str], why: str, *, again: bool = False) -> None:
        partner = next((p for p in partners if p in free and p != node and (again or _is_new(known, node, p))), None)
        if node in free and partner is not None:
            del free[node], free[partner]
            pairs[_pair(node, partner)] = why

    for want in wanted:
        if want.node in free:
            take(want.node, want.partners or blame.trusted, want.why, again=want.is_again)
        if want.node in free and not want.is_again:
            take(want.node, blame.trusted, want.why)
    if pairs:
        for node in blame.suspects:
            take(node, blame.suspects, "suspects with each other")
    return list(pairs), ", ".join(dict.fromkeys(pairs.values()))


def _is_new(known: Known, node: str, partner: str) -> bool:
    """Whether the two never met, nor missed each other, and the partner is not one that stayed away."""
    missed = any(partner in group for group in known.absences.get(node, ()))
    return _pair(node, partner) not in known.pairs and not missed and partner not in known.absences


def _pair(a: str, b: str) -> Pair:
    return (a, b) if a < b else (b, a)
