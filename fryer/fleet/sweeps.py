"""What is swept inside nodes and over all that are fit, how long it may take, and what is concluded. Pure.

The conductor measures; `fryer.collectives` has the cases, the formulas and the expectations.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from fryer.collectives.cases import CollectiveCase
from fryer.collectives.choice import Choice, wanted
from fryer.collectives.expected import Expectation, Platform, expected
from fryer.collectives.sweep import Room, Sweep, Wanted, plan
from fryer.collectives.swept import BETWEEN, INSIDE, Swept, judge_sweep, skipped, unmeasured
from fryer.evidence import NodeEvidence
from fryer.fleet.orders import Collected, Hello, Interconnect
from fryer.localise import Localisation
from watchdog.vocabulary.errors import UsageError
from watchdog.vocabulary.verdicts import Verdict

INSIDE_REPEATS, BETWEEN_REPEATS = 3, 1
"""One measurement is itself a mean over its iterations, as with nccl-tests; a single node is blamed for three."""
_GPU_SECONDS, _CPU_SECONDS, _INSIDE_SECONDS = 30.0, 8.0, 10.0
"""Of a run in which nobody asked for a sweep."""
_ASKED_SECONDS = 60.0
"""For each operation that somebody asked for."""
_MEMORY_RATIO = {True: 0.7, False: 0.02}
"""Of the smallest GPU (burns are over, but the library wants buffers too), and of a node's memory (as burns take)."""
_UNKNOWN_MEMORY_BYTES = 1 << 30
_GPU_BUSBW, _CPU_BUSBW = 10e9, 100e6
"""Bytes a second that are reckoned with where nothing is known."""
_GPU_LATENCY, _CPU_LATENCY = 10e-6, 100e-6
"""Seconds of one step of a ring."""
_LARGEST_INSIDE = 8 << 30
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One sweep to carry out."""

    scope: str
    groups: tuple[tuple[str, ...], ...]
    sweep: Sweep
    repeats: int
    platform: Platform | None
    left_out: tuple[str, ...]
    """Beside what `sweep` says."""

    @property
    def what(self) -> str:
        """For people: ``all_reduce, 11 cases``."""
        operations = ", ".join(dict.fromkeys(case.operation for case in self.sweep.cases))
        return f"{operations} {self.scope} nodes, {len(self.sweep.cases)} cases"


def common(hellos: Sequence[Hello]) -> Interconnect:
    """What more than half of the nodes say of each link; what fewer say is not known."""
    all_of = [hello.interconnect for hello in hellos]
    return Interconnect(
        nvlink_bytes_per_second=_most([each.nvlink_bytes_per_second for each in all_of]),
        has_switch=_most([each.has_switch for each in all_of]),
        has_nvls=_most([each.has_nvls for each in all_of]),
        num_nics=_most([each.num_nics for each in all_of]),
        nic_bytes_per_second=_most([each.nic_bytes_per_second for each in all_of]),
    )


def platform_of(hellos: Sequence[Hello], num_nodes: int, algorithm: str | None = None) -> Platform | None:
    """Of a group of `num_nodes` of these nodes; None where they have no GPUs, or not equally many."""
    num_gpus = {hello.num_gpus for hello in hellos}
    if len(num_gpus) != 1 or 0 in num_gpus:
        return None
    links = common(hellos)
    return Platform(
        num_nodes=num_nodes,
        ranks_per_node=num_gpus.pop(),
        nvlink_bytes_per_second=links.nvlink_bytes_per_second,
        has_switch=bool(links.has_switch),
        has_nvls=links.has_nvls,
        num_nics=links.num_nics or 0,
        nic_bytes_per_second=links.nic_bytes_per_second,
        algorithm=algorithm,
    )


def healthy(hellos: Sequence[Hello], num_nodes: int, case: CollectiveCase) -> Expectation | None:
    """What `case` should reach in a group of so many of these nodes."""
    platform = platform_of(hellos, num_nodes, case.algorithm)
    return expected(case.operation, platform) if platform else None


def fit_nodes(pool: Sequence[str], found: Localisation | None) -> tuple[list[str], list[str]]:
    """Nodes of `pool` that nothing of the network speaks against, and why others are left out.

    Of a path that is to blame one end is left out, else the path would be measured again.
    """
    blamed = {each.node for each in found.nodes if each.verdict is not Verdict.WARN} if found else set()
    why = [f"{node} is not among them: its own network is not fit" for node in pool if node in blamed]
    for link in found.links if found else ():
        if link.verdict is Verdict.FAIL and not blamed & set(link.nodes):
            blamed.add(link.nodes[1])
            why.append(f"{link.nodes[1]} is not among them: its path to {link.nodes[0]} is bad")
    return [node for node in pool if node not in blamed], why


def is_off(choice: Choice | None) -> bool:
    """Somebody asked for no sweep."""
    return choice is not None and choice.operations == ()


def plan_inside(
    choice: Choice | None, pool: Sequence[str], hellos: Mapping[str, Hello], evidence: Mapping[str, NodeEvidence]
) -> Planned | Swept | None:
    """Each node with several GPUs by itself, all at the same time; None where no node has.

    In a run in which nobody asked for operations or sizes, it is the one size that shows NVLink's plateau.
    """
    nodes = [node for node in pool if hellos[node].num_gpus > 1]
    if is_off(choice):
        return None
    if not nodes:
        why = (
            f"nothing to sweep inside {pool[0]}: it has one rank, and a collective takes two"
            if len(hellos) == 1
            else ""
        )
        return Swept(scope=INSIDE, nodes=tuple(pool), judgements=(skipped(why),)) if why else None
    memory = memory_of(nodes, evidence, has_gpus=True)
    asked = wanted(choice, has_gpus=True)
    is_explicit = choice is not None and choice.is_explicit
    if not is_explicit:
        size = _LARGEST_INSIDE
        while 2 * size > memory:
            size //= 2
        asked = replace(asked, begin_bytes=size, end_bytes=size, places=(False,))
    platform = platform_of([hellos[node] for node in nodes], 1)
    return _planned(
        INSIDE,
        tuple((node,) for node in nodes),
        asked,
        Room(
            num_ranks=max(hellos[node].num_gpus for node in nodes),
            memory_bytes=memory,
            seconds=_ASKED_SECONDS * len(asked.operations) if is_explicit else _INSIDE_SECONDS,
            repeats=INSIDE_REPEATS,
            busbw_bytes_per_second=_reckoned("all_reduce", platform) or _GPU_BUSBW,
        ),
        platform,
    )


def plan_between(
    choice: Choice | None,
    pool: Sequence[str],
    found: Localisation | None,
    hellos: Mapping[str, Hello],
    evidence: Mapping[str, NodeEvidence],
) -> Planned | Swept | None:
    """One group of all that are fit; a `Swept` that says why where there is nothing to measure; None: not asked for."""
    if is_off(choice):
        return None
    nodes, why = fit_nodes(pool, found)
    if len(nodes) < 2:
        words = f"no sweep between nodes: {len(nodes)} of {len(hellos)} nodes are known to be fit, and it takes two"
        return Swept(scope=BETWEEN, nodes=tuple(nodes), judgements=(skipped(words),), left_out=tuple(why))
    has_gpus = all(hellos[node].num_gpus for node in nodes)
    asked = wanted(choice, has_gpus=has_gpus)
    is_explicit = choice is not None and choice.is_explicit
    platform = platform_of([hellos[node] for node in nodes], len(nodes))
    num_ranks = sum(hellos[node].num_gpus for node in nodes) if has_gpus else len(nodes)
    measured = found.expected_bytes_per_second if found else None
    usual, by_default = (_GPU_BUSBW, _GPU_SECONDS) if has_gpus else (_CPU_BUSBW, _CPU_SECONDS)
    room = Room(
        num_ranks=num_ranks,
        memory_bytes=memory_of(nodes, evidence, has_gpus=has_gpus),
        seconds=_ASKED_SECONDS * len(asked.operations) if is_explicit else by_default,
        repeats=BETWEEN_REPEATS,
        busbw_bytes_per_second=_reckoned("all_reduce", platform) or measured or usual,
        latency_seconds=(_GPU_LATENCY if has_gpus else _CPU_LATENCY) * 2 * len(nodes),
    )
    return _planned(BETWEEN, (tuple(nodes),), asked, room, platform, tuple(why))


def _planned(
    scope: str,
    groups: tuple[tuple[str, ...], ...],
    asked: Wanted,
    room: Room,
    platform: Platform | None,
    why: tuple[str, ...] = (),
) -> Planned | Swept:
    try:
        sweep = plan(asked, room)
    except UsageError as error:
        members = tuple(node for group in groups for node in group)
        return Swept(scope=scope, nodes=members, judgements=(skipped(str(error)),), left_out=why)
    return Planned(scope=scope, groups=groups, sweep=sweep, repeats=room.repeats, platform=platform, left_out=why)


def conclude(
    planned: Planned, group: tuple[str, ...], told: Mapping[str, Collected], missing: Collection[str]
) -> Swept:
    """What one group gave, from what its members said."""
    own = [told[node] for node in group if node in told]
    rows = tuple(row for collected in own for row in collected.rows)
    problem = next((collected.problem for collected in own if collected.problem), "" if own else "nobody answered")
    left_out = [*planned.sweep.left_out, *planned.left_out]
    if absent := unmeasured(planned.sweep.cases, rows):
        left_out.append(f"{len(absent)} of {len(planned.sweep.cases)} cases gave nothing: {problem or 'no row came'}")
    judgements = judge_sweep(rows, planned.sweep.cases, group, planned.platform)
    if problem:
        judgements = tuple(
            replace(each, message=f"{each.message}: {problem}") if each.code == "not_measured" else each
            for each in judgements
        )
    return Swept(
        scope=planned.scope,
        nodes=group,
        rows=rows,
        judgements=judgements,
        left_out=tuple(left_out),
        missing=tuple(node for node in group if node in missing),
    )


def memory_of(nodes: Sequence[str], evidence: Mapping[str, NodeEvidence], *, has_gpus: bool) -> int:
    """Bytes that a rank may take, by the smallest of the devices."""
    known = [
        device.memory_bytes
        for node in nodes
        if node in evidence
        for device in evidence[node].devices
        if device.memory_bytes and (device.kind == "cpu") is not has_gpus
    ]
    return int(min(known) * _MEMORY_RATIO[has_gpus]) if known else _UNKNOWN_MEMORY_BYTES


def _reckoned(operation: str, platform: Platform | None) -> float | None:
    found = expected(operation, platform) if platform else None
    return found.typical if found else None


def _most(values: Sequence[_T | None]) -> _T | None:
    """What more than half of them are."""
    found = Counter(values).most_common(1)
    return found[0][0] if found and 2 * found[0][1] > len(values) else None
