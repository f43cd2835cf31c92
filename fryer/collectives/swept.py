"""What a group of nodes gave in a sweep, and what follows: by operation, format, place and algorithm. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fryer.collectives.cases import CollectiveCase, CollectiveRow
from fryer.collectives.expected import Expectation, Platform, expected
from fryer.collectives.plateau import Judgement, judge_rows
from watchdog.vocabulary.verdicts import Verdict, gravest

INSIDE, BETWEEN = "inside", "between"
"""All GPUs of one node among themselves; one group of all nodes that are fit."""
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """One sweep of one group."""

    scope: str
    """`INSIDE` or `BETWEEN`."""
    nodes: tuple[str, ...]
    rows: tuple[CollectiveRow, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    left_out: tuple[str, ...] = ()
    """What was wanted and not measured, one sentence each."""
    missing: tuple[str, ...] = ()
    """Members that did not come, or were lost."""

    @property
    def verdict(self) -> Verdict:
        """The gravest of the judgements."""
        return gravest([judgement.verdict for judgement in self.judgements])


def middle_rows(rows: Sequence[CollectiveRow]) -> list[CollectiveRow]:
    """Of each case its median repeat, with the wrong elements of all of them."""
    groups: dict[_Key, list[CollectiveRow]] = {}
    for row in rows:
        groups.setdefault(_key(row.case), []).append(row)
    found = []
    for group in groups.values():
        ordered = sorted(group, key=lambda row: row.busbw_bytes_per_second)
        num_wrong = sum(row.num_wrong for row in ordered)
        wrong_ranks = sorted({rank for row in ordered for rank in row.wrong_ranks})
        middle = ordered[(len(ordered) - 1) // 2]
        found.append(replace(middle, num_wrong=num_wrong, wrong_ranks=tuple(wrong_ranks)))
    return found


_Key = tuple[str, int, str, bool, str | None]


def _key(case: CollectiveCase) -> _Key:
    """What makes two cases the same line: iterations may have become fewer."""
    return case.operation, case.size_bytes, case.dtype, case.is_in_place, case.algorithm


def unmeasured(cases: Sequence[CollectiveCase], rows: Sequence[CollectiveRow]) -> list[CollectiveCase]:
    """Cases of which there is no row."""
    found = {_key(row.case) for row in rows}
    return [case for case in cases if _key(case) not in found]


def judge_sweep(
    rows: Sequence[CollectiveRow], cases: Sequence[CollectiveCase], nodes: Sequence[str], platform: Platform | None
) -> tuple[Judgement, ...]:
    """One judgement for each operation, format, place and algorithm of `cases`.

    `platform` None: nothing is known of the links, so nothing is expected. Ranks of wrong elements are told as nodes;
    where all nodes have them, as all.
    """
    groups = dict.fromkeys((case.operation, case.dtype, case.is_in_place, case.algorithm) for case in cases)
    judgements = []
    for operation, dtype, is_in_place, algorithm in groups:
        own = [
            row
            for row in rows
            if (row.case.operation, row.case.dtype, row.case.is_in_place, row.case.algorithm)
            == (operation, dtype, is_in_place, algorithm)
        ]
        healthy = expected(operation, replace(platform, algorithm=algorithm)) if platform else None
        judgements.append(_with_nodes(_judge(own, healthy), own, nodes) if own else _not_measured(operation, nodes))
    return tuple(judgements)


def _judge(rows: Sequence[CollectiveRow], healthy: Expectation | None) -> Judgement:
    """A sweep may end below the plateau, where no expectation holds: that is not judged, and no verdict on anybody."""
    judgement = judge_rows(rows, healthy)
    return replace(judgement, verdict=Verdict.SKIPPED) if judgement.code == "too_small" else judgement


def skipped(why: str) -> Judgement:
    """Nothing was measured, for a reason that is nobody's fault."""
    return Judgement(verdict=Verdict.SKIPPED, code="not_measured", message=why)


def nodes_of_ranks(ranks: Sequence[int], nodes: Sequence[str], num_ranks: int) -> tuple[str, ...]:
    """Nodes of `ranks`: a group has equally many ranks a node, one node after the other."""
    per_node = max(1, num_ranks // max(1, len(nodes)))
    return tuple(dict.fromkeys(nodes[min(rank // per_node, len(nodes) - 1)] for rank in ranks))


def _not_measured(operation: str, nodes: Sequence[str]) -> Judgement:
    return Judgement(
        verdict=Verdict.ERROR,
        code="not_measured",
        message=f"{operation} was not measured {'in ' if len(nodes) == 1 else 'among '}{_those(nodes)}",
    )


def _with_nodes(judgement: Judgement, rows: Sequence[CollectiveRow], nodes: Sequence[str]) -> Judgement:
    if judgement.code != "wrong_sums":
        return judgement
    ranks = sorted({rank for row in rows for rank in row.wrong_ranks})
    wrong = nodes_of_ranks(ranks, nodes, rows[0].num_ranks)
    where = "on all nodes" if len(wrong) == len(nodes) and len(nodes) > 1 else f"on {_those(wrong)}"
    message = f"{judgement.message}; {where}" if wrong else judgement.message
    return replace(judgement, message=message, evidence={**judgement.evidence, "wrong_nodes": list(wrong)})


def _those(nodes: Sequence[str]) -> str:
    more = len(nodes) - _MOST_NAMED
    return ", ".join(nodes[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
