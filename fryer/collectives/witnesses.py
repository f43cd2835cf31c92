"""Which members of a group are missing, from what its members say of each other. Pure.

A node that is cut off says that the first node is missing, and the others say that it is: so the statements of one
group contradict each other, and the larger party is believed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence


def agree_on_missing(told: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Nodes that are missing, given whom each node that answered names; sorted.

    Statements that name the same nodes are one party, and the party with the most witnesses is believed. Where parties
    are equally large, nobody can tell, and all that they name are given: of two nodes that name each other, both.
    """
    parties = Counter(frozenset(names) - {node} for node, names in told.items())
    del parties[frozenset()]
    if not parties:
        return ()
    most = max(parties.values())
    return tuple(sorted(frozenset().union(*(names for names, count in parties.items() if count == most))))
