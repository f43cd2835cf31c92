"""A run over many nodes in few words: who is fit, who is not and why, and what to do first.

Pure. It repeats what was concluded and adds no judgement; nodes that share a fate are told once, as a node set.
"""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fryer.evidence import NodeVerdict, Reason
from fryer.localise import LinkFinding
from fryer.outputs.rows import About, reasons_about
from fryer.outputs.wording import count_of, short_id
from fryer.result import RunResult
from watchdog.vocabulary.errors import UsageError, nearest
from watchdog.vocabulary.verdicts import Verdict

GRAVEST_FIRST = (
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.INCONCLUSIVE,
    Verdict.WARN,
    Verdict.SKIPPED,
    Verdict.PASS,
)
"""The order in which people look at nodes."""
NETWORK_CODES = frozenset(
    {
        "slow_network",
        "intermittent_network",
        "broken_network",
        "wrong_sums",
        "no_answer",
        "unsplit",
        "slow_fleet",
        "untested",
    }
)
"""Codes of reasons that came from measurements between nodes (`fryer.localise.NodeFinding`)."""
_GROUP_REMEDIES = {
    "below_expected": "look at what the nodes share, for each pair of them passed: switches and routing, NCCL_ALGO and "
    "NCCL_IB_HCA, GPUDirect RDMA (the rows say what carried them)",
    "too_small": "measure larger sizes: --sizes 1G:8G:2",
    "wrong_sums": "data are corrupted on the way: repeat with halves of these nodes until one is left",
    "not_measured": "read the logs of these nodes and the library's words; repeat with halves of them",
    "above_ceiling": "report it: the measurement itself is wrong",
}
"""By code of a judgement on all nodes together."""
_MOST_KNOWN = 32
"""Names in the message for an unknown one; more are told as a set."""
_PATH_REMEDY = (
    "both nodes are fit with others: check the cables, optics and switch ports between them, and the route that their "
    "traffic takes; keep the two apart in a job until then"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubled:
    """A node that is not plainly fit, and all that speaks against it, gravest first."""

    node: str
    verdict: Verdict
    abouts: tuple[About, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to do, and for whom."""

    verdict: Verdict
    code: str
    """``below_floor``; several of the same devices: ``below_floor, below_node``."""
    subjects: tuple[str, ...]
    """Nodes, in the order of the run, or ``node001-node002`` for paths."""
    devices: tuple[str, ...]
    """``node003 gpu2``; empty where the nodes as a whole are meant."""
    remedy: str
    repeat: str
    """The command that shows it again on the first of them; may be empty."""
    is_path: bool = False

    @property
    def whom(self) -> str:
        """``node003 gpu2``, ``node[003,007]``, ``node001-node002``."""
        if self.is_path:
            return listed(self.subjects, 6)
        if len(self.devices) in range(1, 5):
            return listed(self.devices, 4)
        return fold(self.subjects)


def fold(nodes: Iterable[str]) -> str:
    """``node[001-003,007]`` of the names; in ClusterShell's syntax, so that it can be pasted into a command."""
    from ClusterShell.NodeSet import NodeSet  # noqa: PLC0415 - a run over one node needs no node sets

    return str(NodeSet.fromlist(list(nodes)))


def listed(names: Sequence[str], most: int) -> str:
    """``a, b and 3 more``."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most:,} more"


def by_verdict(result: RunResult) -> dict[Verdict, tuple[str, ...]]:
    """Names of the nodes by verdict, gravest first; each in the order of the run."""
    found: dict[Verdict, list[str]] = {}
    for node in result.verdicts:
        found.setdefault(node.verdict, []).append(node.node)
    return {verdict: tuple(found[verdict]) for verdict in GRAVEST_FIRST if verdict in found}


def troubled(result: RunResult) -> list[Troubled]:
    """All nodes but those that passed, gravest first, else in the order of the run.

    What was skipped is no reason against a node, and is told only of one of which nothing else is known.
    """
    found = [_troubled(node) for node in result.verdicts if node.verdict is not Verdict.PASS]
    return sorted(found, key=lambda node: GRAVEST_FIRST.index(node.verdict))


def _troubled(node: NodeVerdict) -> Troubled:
    abouts = sorted(reasons_about(node), key=_gravity_of)
    against = [about for about in abouts if about.reason.verdict is not Verdict.SKIPPED]
    return Troubled(node=node.node, verdict=node.verdict, abouts=tuple(against or abouts))


def alike(nodes: Sequence[Troubled]) -> list[tuple[Troubled, tuple[str, ...]]]:
    """Nodes whose gravest reason has one verdict and code, as one of them and the names of all."""
    groups: dict[tuple[Verdict, str], list[Troubled]] = {}
    for node in nodes:
        groups.setdefault((node.verdict, node.abouts[0].reason.code if node.abouts else ""), []).append(node)
    return [(group[0], tuple(one.node for one in group)) for group in groups.values()]


def actions(result: RunResult) -> list[Action]:
    """What to do, most urgent first: equal remedies of equal codes are one action for all whom they concern.

    Several codes for the very same devices are one fault seen in several ways: the gravest one's remedy is told.
    """
    found: dict[tuple[Verdict, str, str], list[About]] = {}
    for node in result.verdicts:
        for about in reasons_about(node):
            if about.reason.remedy and about.reason.verdict is not Verdict.SKIPPED:
                remedy = about.reason.remedy.replace(about.node, "the node")
                key = (about.reason.verdict, about.reason.code, remedy)
                found.setdefault(key, []).append(about)
    made = [_action(abouts, remedy) for (_, _, remedy), abouts in found.items()] + _path_actions(result)
    made += _group_actions(result)
    once: dict[tuple[object, ...], Action] = {}
    for action in sorted(made, key=lambda action: GRAVEST_FIRST.index(action.verdict)):
        whom = (action.verdict, action.subjects, action.devices, action.is_path)
        first = once.get(whom)
        once[whom] = replace(first, code=f"{first.code}, {action.code}") if first else action
    return list(once.values())


def _action(abouts: Sequence[About], remedy: str) -> Action:
    """`remedy` with "the node" in place of names: it stands for one node only where there is but one."""
    reason = abouts[0].reason
    nodes = tuple(dict.fromkeys(about.node for about in abouts))
    devices = [f"{about.node} {about.device}" for about in abouts if about.device is not None]
    return Action(
        verdict=reason.verdict,
        code=reason.code,
        subjects=nodes,
        devices=tuple(dict.fromkeys(devices)) if len(devices) == len(abouts) else (),
        remedy=reason.remedy if len(nodes) == 1 else remedy,
        repeat=next((about.reason.repeat for about in abouts if about.reason.repeat), ""),
    )


def _group_actions(result: RunResult) -> list[Action]:
    """What speaks against all nodes together, and no single one."""
    scenario = result.info.plan.scenario
    simulated = ["--simulate", scenario] if scenario else []
    return [
        Action(
            verdict=each.verdict,
            code=each.code,
            subjects=swept.nodes,
            devices=(),
            remedy=_GROUP_REMEDIES.get(each.code, ""),
            repeat=shlex.join(["fryer", "run", "--nodes", fold(swept.nodes), *simulated]),
        )
        for swept in result.group_sweeps
        for each in swept.judgements
        if each.verdict not in (Verdict.PASS, Verdict.SKIPPED)
    ]


def _path_actions(result: RunResult) -> list[Action]:
    scenario = result.info.plan.scenario
    groups: dict[tuple[Verdict, str], list[LinkFinding]] = {}
    for link in result.links:
        groups.setdefault((link.verdict, link.code), []).append(link)
    return [
        Action(
            verdict=verdict,
            code=code,
            subjects=tuple("-".join(link.nodes) for link in group),
            devices=(),
            remedy=_PATH_REMEDY,
            repeat=shlex.join(
                ["fryer", "run", "--nodes", fold(group[0].nodes), *(["--simulate", scenario] if scenario else [])]
            ),
            is_path=True,
        )
        for (verdict, code), group in groups.items()
    ]


def fleet_proof(result: RunResult) -> list[str]:
    """Sentences of the proof that no reason and no link says already."""
    said = {about.reason.message for node in result.verdicts for about in reasons_about(node)}
    said |= {link.proof for link in result.links}
    return [sentence for sentence in result.proof if not any(sentence in words for words in said)]


def one_node(result: RunResult, node: str) -> RunResult:
    """What a run found of one node alone, for the page of one node; raises `UsageError` where it wasn't in the run."""
    names = [verdict.node for verdict in result.verdicts]
    if node not in names:
        known = nearest(node, names) if len(names) <= _MOST_KNOWN else f"; its nodes: {fold(names)}"
        raise UsageError(f"--node: run {short_id(result.info.run_id)} has no node {node!r}{known}")
    place = names.index(node)
    return RunResult(
        info=replace(result.info, plan=replace(result.info.plan, nodes=(node,))),
        seconds=result.seconds,
        evidence=(result.evidence[place],),
        verdicts=(result.verdicts[place],),
    )


def fleet_headline(result: RunResult) -> str:
    """The verdict in one plain sentence: whom not to use, and how many are left."""
    groups = by_verdict(result)
    total = len(result.verdicts)
    fit = len(groups.get(Verdict.PASS, ())) + len(groups.get(Verdict.WARN, ()))
    parts = [
        f"{words} {_bounded(groups[verdict])}"
        for verdict, words in (
            (Verdict.FAIL, "do not use"),
            (Verdict.ERROR, "cannot tell of"),
            (Verdict.INCONCLUSIVE, "not settled:"),
            (Verdict.SKIPPED, "not measured:"),
        )
        if verdict in groups
    ]
    if result.links:
        parts.append(f"{count_of(len(result.links), 'path')} between nodes to look at")
    parts += [
        f"collectives over {count_of(len(swept.nodes), 'node')} together: {swept.verdict}"
        for swept in result.group_sweeps
        if swept.verdict not in (Verdict.PASS, Verdict.SKIPPED)
    ]
    if groups.get(Verdict.WARN):
        parts.append(f"worth a look: {_bounded(groups[Verdict.WARN])}")
    left = f"all {total:,} nodes are fit" if fit == total else f"{fit:,} of {count_of(total, 'node')} are fit"
    return _sentence([*parts, left])


def _bounded(nodes: Sequence[str], most_characters: int = 120) -> str:
    """A node set; just the number where it would fill the line."""
    folded = fold(nodes)
    return folded if len(folded) <= most_characters else count_of(len(nodes), "node")


def _sentence(parts: Sequence[str]) -> str:
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def counts_line(result: RunResult) -> str:
    """``48 nodes: 2 FAIL, 1 WARN, 45 PASS``."""
    words = ", ".join(f"{len(nodes):,} {verdict}" for verdict, nodes in by_verdict(result).items())
    return f"{count_of(len(result.verdicts), 'node')}: {words}"


def is_network(reason: Reason) -> bool:
    """The reason came from measurements between nodes."""
    return reason.code in NETWORK_CODES


def _gravity_of(about: About) -> int:
    return GRAVEST_FIRST.index(about.reason.verdict)
