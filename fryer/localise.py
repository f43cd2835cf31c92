"""Who is to blame for a slow or broken collective, with the proof: pure arithmetic over groups that measured together.

The caller measures what `next_round` asks for until it asks for nothing more; `localise` then says what follows. The
method and its statistics: `fryer.localisation.settings`; the parts: `fryer.localisation`.
"""

from collections.abc import Sequence

from fryer.localisation.findings import conclude
from fryer.localisation.grouping import next_groups
from fryer.localisation.pairing import next_pairs
from fryer.localisation.settings import Settings
from fryer.localisation.state import state_of
from fryer.localisation.words import LinkFinding, Localisation, NodeFinding, Round, Trial

__all__ = ["LinkFinding", "Localisation", "NodeFinding", "Round", "Settings", "Trial", "localise", "next_round"]

_GROUP_ROUNDS = 5
"""Kept back for groups: one of all, three that halve eight to one, one to look again."""


def next_round(nodes: Sequence[str], trials: Sequence[Trial], settings: Settings) -> Round | None:
    """What to measure now; None when nothing more can be learnt, or the last round is over.

    `nodes` are those that may still measure, in an order that stays; `trials` all that came so far, at least one of
    each round. The same arguments give the same answer.
    """
    state = state_of(nodes, trials, settings, settings.rail)
    number = state.known.last_round + 1
    most = settings.most_rounds_of(len(nodes))
    if len(nodes) < 2 or number > most:
        return None
    has_groups = len(nodes) >= settings.least_nodes_for_groups and settings.rail is None
    groups: Sequence[tuple[str, ...]] = ()
    if number <= most - (_GROUP_ROUNDS if has_groups else 0) and not state.groups.num_groups:
        groups, why = next_pairs(state, settings)
    if not groups and has_groups:
        groups, why = next_groups(state, settings)
    if not groups:
        return None
    repeats = settings.repeats if number <= 2 or len(groups[0]) > 2 else settings.confirm_repeats
    return Round(number=number, groups=tuple(groups), repeats=repeats, why=why, rail=settings.rail)


def localise(nodes: Sequence[str], trials: Sequence[Trial], settings: Settings) -> Localisation:
    """What all trials say of nodes and paths: of all GPUs together, and of each rail that was measured alone."""
    return conclude(nodes, trials, settings)
