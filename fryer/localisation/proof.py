"""The sentences: how a node or a path was told apart, in words that a person can check against the table."""

from collections.abc import Mapping, Sequence

from fryer.localisation.known import Measured
from fryer.localisation.limits import Outcome
from fryer.localisation.state import State
from watchdog.vocabulary.units import show_quantity

TWO_NODES = (
    "two nodes can't be split by pairing; measure each with a third node that is known to be good, or run each node's "
    "NIC loopback and compare the rails of the pair with each other"
)
"""What to do when only two nodes are there."""
_DID = {
    Outcome.SLOW: "failed",
    Outcome.BROKEN: "broke",
    Outcome.UNSTEADY: "was unsteady",
    Outcome.WRONG: "summed wrongly",
    Outcome.PASSED: "passed",
}


def show_rate(value: float | None) -> str:
    """``378 GB/s``; a dash where nothing was measured."""
    return "-" if value is None else show_quantity(value, "B/s")


def convict_proof(state: State, node: str, outcome: Outcome) -> str:
    """``node003 failed with node001 and node004; node001-node004 passed at 378 GB/s``, and how bad it was."""
    if node not in state.pairs.convicts:
        return _group_proof(state, node, outcome)
    trusted = set(state.pairs.trusted)
    witnesses = [p for p in state.pairs.failed(node) if p in trusted] or state.pairs.failed(node)
    first, second, alibi = _witnesses(state, witnesses)
    return f"{node} {_DID[outcome]} with {_and([first, second])}; {alibi}{_severity(state, node, (first, second))}"


def _witnesses(state: State, partners: Sequence[str]) -> tuple[str, str, str]:
    """Two partners that passed with each other, if there are such, else two that passed with others; and the words."""
    for first in sorted(partners):
        friends = set(state.pairs.passed(first))
        for second in sorted(friends):
            if second in partners:
                return first, second, f"{first}-{second} passed at {show_rate(_pair(state, first, second).median)}"
    alibis = []
    for partner in partners[:2]:
        friend = _friend(state, partner)
        alibis.append(f"{partner}-{friend} at {show_rate(_pair(state, partner, friend).median)}")
    return partners[0], partners[min(1, len(partners) - 1)], f"{_and(alibis)} passed"


def _friend(state: State, node: str) -> str:
    """A partner that it passed with, one that nothing is held against if there is such."""
    convicts = state.convicts
    return min(state.pairs.passed(node), key=lambda partner: (partner in convicts, partner))


def _severity(state: State, node: str, partners: Sequence[str]) -> str:
    """``; node003 gave 212 GB/s, 56 % of 378 GB/s``; range, reason or wrong elements where these matter."""
    measured = [_pair(state, node, partner) for partner in partners]
    wrong = sum(m.num_wrong for m in measured)
    problem = next((m.problem for m in measured if m.problem), "")
    values = [value for m in measured for value in m.values]
    expected = state.limits.pair_bytes_per_second
    if wrong:
        return f"; {wrong:,} wrong {'element' if wrong == 1 else 'elements'}"
    if problem:
        return f"; {problem.rstrip('.')}"
    if not values or not expected:
        return ""
    medians = [m.median for m in measured if m.median is not None]
    if (
        min(values) < state.limits.least_single_ratio * expected
        and max(values) > state.limits.good_single_ratio * expected
    ):
        return f"; {node} gave from {show_rate(min(values))} to {show_rate(max(values))}"
    best = max(medians)
    return f"; {node} gave at best {show_rate(best)}, {100 * best / expected:.0f} % of {show_rate(expected)}"


def _group_proof(state: State, node: str, outcome: Outcome) -> str:
    """A node that is bad in larger groups only."""
    groups = [m for m in state.known.groups if node in m.nodes]
    bad = [m for m in groups if state.limits.outcome(m) is outcome] or groups
    size, expected = len(bad[-1].nodes), state.limits.group_bytes_per_second
    return (
        f"{node} passed in pairs; {len(bad)} groups with it {_DID[outcome]}, the last of {size} at "
        f"{show_rate(bad[-1].median)}; the other {size - 1} passed without it at {show_rate(expected)}"
    )


def left_alone_proof(state: State, node: str) -> str:
    """A node that alone is suspect in bad groups, when paths to other members may be the cause too."""
    bad = [m for m in state.known.groups if node in m.nodes and state.limits.outcome(m) is not Outcome.PASSED]
    groups = "1 bad group" if len(bad) == 1 else f"{len(bad)} bad groups"
    return (
        f"{node} passed in pairs and was in {groups}, whose other members passed in groups without it; measure its "
        "pairs with them to tell it from the paths to them"
    )


def suspect_proof(state: State, node: str) -> str:
    """A node that was bad with all it met, and nobody could be found to tell it from them."""
    pairs = state.pairs
    with_whom = _and([_with(state, node, partner) for partner in pairs.failed(node)[:4]])
    if len(state.nodes) == 2:
        return f"{with_whom}: {TWO_NODES}"
    return f"{with_whom}, and too few partners are proven to tell {node} from them; measure it with nodes that passed"


def _with(state: State, node: str, partner: str) -> str:
    measured = _pair(state, node, partner)
    return f"{node}-{partner} {_DID[state.limits.outcome(measured)]}{_figure(measured)}"


def _figure(measured: Measured) -> str:
    if measured.num_wrong:
        return f" ({measured.num_wrong:,} elements)"
    if measured.num_broken:
        return f" ({measured.problem.rstrip('.')})" if measured.problem else ""
    return f" at {show_rate(measured.median)}"


def path_proof(state: State, a: str, b: str) -> str:
    """``node003-node007 was slow at 200 GB/s; node003 passed with node001 at 378 GB/s and node007 with ...``."""
    alibis = []
    for node in (a, b):
        friend = _friend(state, node)
        alibis.append(f"{node} passed with {friend} at {show_rate(_pair(state, node, friend).median)}")
    measured = _pair(state, a, b)
    times = "once" if measured.num_trials == 1 else f"{measured.num_trials} times"
    outcome = state.limits.outcome(measured)
    figure = (
        f" from {show_rate(min(measured.values))} to {show_rate(max(measured.values))}"
        if (outcome is Outcome.UNSTEADY and measured.values and not measured.num_broken)
        else _figure(measured)
    )
    return f"{a}-{b} {_DID[outcome]}{figure}, measured {times}; {_and(alibis)}"


def pair_evidence(state: State, node: str) -> Mapping[str, object]:
    """What stands behind a node's finding: JSON's types only."""
    partners = state.pairs.partners.get(node, {})
    return {
        "expected_bytes_per_second": state.limits.pair_bytes_per_second,
        "partners": {partner: figures(_pair(state, node, partner), outcome) for partner, outcome in partners.items()},
    }


def figures(measured: Measured, outcome: Outcome) -> Mapping[str, object]:
    """Minimum, median and maximum over all repeats, in bytes per second, and how it came out."""
    values = measured.values
    return {
        "min": min(values) if values else None,
        "median": measured.median,
        "max": max(values) if values else None,
        "num_repeats": len(values),
        "num_trials": measured.num_trials,
        "num_wrong": measured.num_wrong,
        "outcome": outcome.value,
    }


def _pair(state: State, a: str, b: str) -> Measured:
    return state.known.pairs[(a, b) if a < b else (b, a)]


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
