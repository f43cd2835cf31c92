"""Votes on the results of devices that computed the same products: the majority wins, the minority is named.

Pure. A digest is an integer sum of raw bits, so a NaN is a value like any other and the order of summation is none.
One device has one vote: the digest it gave most often. So a device that ran more rounds does not outvote another.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fryer.records import ProductDigest


@dataclass(frozen=True, slots=True, kw_only=True)
class Minority:
    """One product on which a device disagreed with the others, or nobody could be told right from wrong."""

    device: str
    case: str
    round: int
    pair: int
    seed: int
    digest: str
    majority: str | None
    """What more than half of the devices found; None when no digest had that many."""
    num_agree: int
    """Devices that voted for `majority`; 0 when there is none."""
    num_voters: int
    is_tie: bool
    """True when no majority says who is wrong. A device that contradicts itself is wrong without one."""


_SUMS = ("fryer", "torch", "cuda", "driver")
"""What may change operands or the order of a sum. cuBLAS gives equal bits for equal calls on GPUs of one architecture
and number of SMs, from one toolkit version (cuBLAS documentation, "Results Reproducibility")."""


def software_of(versions: Mapping[str, str]) -> str | None:
    """The software that must be equal for digests of two runs to be compared; None where torch's version is unknown."""
    return ", ".join(f"{name} {versions.get(name, '-')}" for name in _SUMS) if versions.get("torch") else None


def vote(digests: Sequence[ProductDigest], parts: Mapping[str, str]) -> tuple[Minority, ...]:
    """Name every ballot outside the majority, in the order of `digests`; what a device found only once has no vote.

    Ballots are compared when part (`parts`, by device), case, pair and seed are equal; the round may differ, since
    equal seeds give equal operands. Devices missing in `parts` vote among themselves.
    """
    polls: defaultdict[tuple[str, str, int, int], list[ProductDigest]] = defaultdict(list)
    for ballot in digests:
        if not ballot.is_verified:
            continue
        polls[parts.get(ballot.device, ""), ballot.case, ballot.pair, ballot.seed].append(ballot)
    named = {id(ballot): minority for poll in polls.values() for ballot, minority in _count(poll)}
    return tuple(named[id(ballot)] for ballot in digests if id(ballot) in named)


def _count(poll: Sequence[ProductDigest]) -> list[tuple[ProductDigest, Minority]]:
    if len({ballot.digest for ballot in poll}) == 1:
        return []
    votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for ballot in poll:
        votes[ballot.device][ballot.digest] += 1
    winner, num_agree = _majority(votes)
    named = []
    for ballot in poll:
        contradicts_itself = len(votes[ballot.device]) > 1
        if ballot.digest == winner:
            continue
        named.append(
            (
                ballot,
                Minority(
                    device=ballot.device,
                    case=ballot.case,
                    round=ballot.round,
                    pair=ballot.pair,
                    seed=ballot.seed,
                    digest=ballot.digest,
                    majority=winner,
                    num_agree=num_agree,
                    num_voters=len(votes),
                    is_tie=winner is None and not contradicts_itself,
                ),
            )
        )
    if winner is None and len({b.digest for b, m in named if m.is_tie}) == 1:
        # Those who are true to themselves agree with each other: only the one who contradicts itself is named.
        return [(ballot, minority) for ballot, minority in named if not minority.is_tie]
    return named


def _majority(votes: Mapping[str, Counter[str]]) -> tuple[str | None, int]:
    """The digest that over half of the devices gave most often, and how many did; a device torn evenly abstains."""
    cast: Counter[str] = Counter()
    for own in votes.values():
        ranked = own.most_common(2)
        if len(ranked) == 1 or ranked[0][1] > ranked[1][1]:
            cast[ranked[0][0]] += 1
    for digest, count in cast.most_common(1):
        if count * 2 > len(votes):
            return digest, count
    return None, 0
