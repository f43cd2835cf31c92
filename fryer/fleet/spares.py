"""Which healthy nodes of a run to leave out of the job as its spares. Pure: it proposes, and touches no node.

A synchronous job runs at the pace of its slowest member, so the spares are **the slowest of the healthy**: the job gets
the fastest nodes, and loses nothing while the spares wait. But a spare steps in at night without a person, so only a
node that this run proved fit may be one: PASS, measured to its end. A node with WARN may join a job but is no spare;
unproven and failed ones are neither.

The figure is `pace_ratio`: the node's worst figure over the median of all that may join, whichever device, burn or
network pair gives it. Paces within `SAME_RATIO` are the same, since runs repeat no better: among those the next spare
comes from the group of nodes (rack, switch) that has the fewest spares yet, so that one switch does not hold them all;
then the one whose figures spread wider; then by name.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from fryer.evidence import Measurement, NodeEvidence
from fryer.result import RunResult
from watchdog.vocabulary.verdicts import Verdict

SAME_RATIO = 0.01
"""GEMM, copies and all-reduce of one healthy node repeat within about 1 % of their medians."""

_Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpareFigures:
    """What a node that may join the job is beside the others."""

    node: str
    verdict: Verdict
    """PASS or WARN."""
    group: str
    """Its rack or switch, as far as names tell; empty when they don't."""
    pace_ratio: float
    """Its worst figure over the median of all that may join; below 1: slower."""
    slowest: str
    """What gives it: ``gpu3 gemm bf16 8192x8192x8192``, ``network``."""
    devices_ratio: float | None
    """Worst of its devices' figures; None: none can be compared."""
    network_ratio: float | None
    """Median of its pairs' bus bandwidths over that of all pairs; None: not measured."""
    spread_ratio: float
    """Widest spread of a figure within the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spares:
    """The proposal."""

    spares: tuple[SpareFigures, ...]
    """Those to leave out, the slowest first; fewer than were asked for where fewer are healthy."""
    members: tuple[SpareFigures, ...]
    """Those that stay, the slowest first: the first sets the pace of the job."""
    unfit: tuple[str, ...]
    """Nodes that may be neither: failed or unproven."""
    why: str
    """One sentence, with what the choice gains."""


def propose_spares(result: RunResult, count: int, groups: Mapping[str, str] | None = None) -> Spares:
    """Choose `count` spares. `groups`: rack or switch by node; default: what comes before the last number of a name."""
    fit = _fit(result)
    figures = _figures(result, fit, _groups([each.node for each in fit]) if groups is None else groups)
    rest = sorted((each for each in figures if each.verdict is Verdict.PASS), key=_order)
    spares: list[SpareFigures] = []
    taken: Counter[str] = Counter()
    while rest and len(spares) < count:
        alike = [each for each in rest if each.pace_ratio <= rest[0].pace_ratio * (1 + SAME_RATIO)]
        chosen = min(alike, key=lambda each: (taken[each.group], alike.index(each)))
        rest.remove(chosen)
        spares.append(chosen)
        taken[chosen.group] += 1
    members = sorted([*rest, *(each for each in figures if each.verdict is Verdict.WARN)], key=_order)
    names = {each.node for each in fit}
    unfit = tuple(each.node for each in result.verdicts if each.node not in names)
    return Spares(spares=tuple(spares), members=tuple(members), unfit=unfit, why=_why(spares, members, count))


def _fit(result: RunResult) -> list[NodeEvidence]:
    """Those that may join a job: measured to the end, with PASS or WARN."""
    found = {each.node for each in result.verdicts if each.verdict in (Verdict.PASS, Verdict.WARN)}
    return [each for each in result.evidence if each.node in found and each.measurements and each.interrupted is None]


def _figures(result: RunResult, fit: Sequence[NodeEvidence], groups: Mapping[str, str]) -> list[SpareFigures]:
    middles = _middles(fit)
    network = _network(result, {each.node for each in fit})
    verdicts = {each.node: each.verdict for each in result.verdicts}
    return [
        _figures_of(each, verdicts[each.node], middles, network.get(each.node), groups.get(each.node, ""))
        for each in fit
    ]


def _figures_of(
    evidence: NodeEvidence, verdict: Verdict, middles: Mapping[_Key, float], network_ratio: float | None, group: str
) -> SpareFigures:
    ratios = [
        (measured.value / middle, f"{measured.device} {measured.burn} {measured.case}")
        for key, measured in _keyed(evidence)
        if (middle := middles.get(key))
    ]
    devices_ratio = min(ratios)[0] if ratios else None
    if network_ratio is not None:
        ratios.append((network_ratio, "network"))
    pace, slowest = min(ratios, default=(1.0, "nothing to compare with"))
    return SpareFigures(
        node=evidence.node,
        verdict=verdict,
        group=group,
        pace_ratio=pace,
        slowest=slowest,
        devices_ratio=devices_ratio,
        network_ratio=network_ratio,
        spread_ratio=max(measured.spread_ratio for measured in evidence.measurements),
    )


def _keyed(evidence: NodeEvidence) -> list[tuple[_Key, Measurement]]:
    parts = {device.name: device.part for device in evidence.devices}
    return [((parts.get(m.device, ""), m.burn, m.case, m.metric), m) for m in evidence.measurements]


def _middles(fit: Sequence[NodeEvidence]) -> dict[_Key, float]:
    """Median of each figure over the devices of one part."""
    values: defaultdict[_Key, list[float]] = defaultdict(list)
    for evidence in fit:
        for key, measured in _keyed(evidence):
            values[key].append(measured.value)
    return {key: median(those) for key, those in values.items()}


def _network(result: RunResult, fit: set[str]) -> dict[str, float]:
    """Of each node in a pair with another fit one: the median of its pairs over the median of all pairs."""
    if result.network is None:
        return {}
    by_node: defaultdict[str, list[float]] = defaultdict(list)
    pairs = [
        (trial.nodes, median(trial.values))
        for trial in result.network.trials
        if len(trial.nodes) == 2 and trial.values and trial.rail is None and fit.issuperset(trial.nodes)
    ]
    for nodes, value in pairs:
        for node in nodes:
            by_node[node].append(value)
    middle = median(value for _, value in pairs) if pairs else 0.0
    return {node: median(values) / middle for node, values in by_node.items()} if middle > 0 else {}


def _groups(nodes: Sequence[str]) -> dict[str, str]:
    """What comes before the last number: ``rack07-node03`` is of ``rack07-node``. Nothing when all are of one."""
    found = {node: re.sub(r"\d+\D*$", "", node) for node in nodes}
    return found if len(set(found.values())) > 1 else {}


def _order(figures: SpareFigures) -> tuple[float, float, str]:
    return figures.pace_ratio, -figures.spread_ratio, figures.node


def _why(spares: Sequence[SpareFigures], members: Sequence[SpareFigures], count: int) -> str:
    if not spares:
        return f"no spares: none of {count} was proved fit" if count else "no spares were asked for"
    missing = f"only {len(spares)} of {count} spares are healthy" if len(spares) < count else ""
    if not members:
        return f"{missing or 'all healthy nodes are spares'}: none is left for the job"
    gain = max(0.0, members[0].pace_ratio / min(each.pace_ratio for each in spares) - 1)
    chosen = missing or f"the {len(spares)} slowest healthy nodes are spares"
    return (
        f"{chosen}: the job's slowest member is then {members[0].node} at {members[0].pace_ratio:.1%} of the median, "
        f"which is {gain:.1%} more than with them"
    )
