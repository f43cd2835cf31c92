"""What the members of a group say at the end of a `Collect`, and when: rows, or why there are none. Pure.

Members meet at the first of the group. One that does not come is named by those that wait for it; two that can't reach
each other name each other; where data stops coming in the middle nobody is named, as with a real library.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, log2

from fryer.collectives.busbw import algbw_factor, bandwidths, busbw_factor, size_bytes
from fryer.collectives.cases import CollectiveCase, CollectiveRow
from fryer.fleet.orders import Collect, Collected
from fryer.fleet.simulated_links import Links, Moment
from watchdog.simulator.scenario import Scenario

JOIN_SECONDS = 0.5
"""What members need to meet and to open their libraries."""
PAUSE_SECONDS = 0.02
"""Between two measurements."""
LATENCY_SECONDS = 10e-6
"""Of one hop; a collective takes as many as its tree is deep."""

_Event = tuple[float, Collected]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """When a worker stops to take part."""

    at_seconds: float
    is_dead: bool
    """Its connections close, so that others see it at once; else it only hangs."""


class Group:
    """One group of one order, from the moment at which the order arrives."""

    def __init__(
        self,
        order: Collect,
        nodes: Sequence[str],
        begin_seconds: float,
        scenario: Scenario,
        links: Links,
        silence: Callable[[str], Silence | None],
    ) -> None:
        """`silence` says when a node stops to take part; None: never."""
        self._order = order
        self._nodes = nodes
        self._begin = begin_seconds
        self._end = begin_seconds + order.seconds
        self._links = links
        self._silent = {node: found for node in nodes if (found := silence(node))}
        self._num_ranks = len(nodes) * (order.ranks_per_node or scenario.fleet.gpus_per_node)
        self._noise = scenario.fleet.noise

    def events(self) -> list[_Event]:
        """What each member that still speaks says, and when."""
        met = self._begin + JOIN_SECONDS
        absent = tuple(node for node in self._nodes if node in self._silent and self._silent[node].at_seconds <= met)
        if absent:
            waited = min(self._end, self._begin + self._order.join_seconds)
            return self._all(waited, f"{_those(absent)} did not come within {waited - self._begin:.0f} s", absent)
        if not self._links.is_whole(self._nodes, self._order.rail, met):
            return self._parted(min(self._end, self._begin + self._order.join_seconds), met)
        return self._measured(met)

    def _parted(self, at_seconds: float, met: float) -> list[_Event]:
        """Somebody can't reach somebody."""
        first, *others = self._nodes
        lost = tuple(node for node in others if not self._links.reaches(first, node, self._order.rail, met))
        if lost:
            waited = at_seconds - self._begin
            here = f"{_those(lost)} did not come within {waited:.0f} s"
            there = f"{first} can't be reached: no connection within {waited:.0f} s"
            return [
                (at_seconds, self._say(node, there, (first,)) if node in lost else self._say(node, here, lost))
                for node in self._nodes
            ]
        return [
            (at_seconds, self._say(node, f"no connection to {_those(missing) if missing else 'all members'}", missing))
            for node in self._nodes
            for missing in [
                tuple(o for o in self._nodes if o != node and not self._links.reaches(node, o, self._order.rail, met))
            ]
        ]

    def _measured(self, met: float) -> list[_Event]:
        """Rows until all is measured, a member goes, or the time is over."""
        goes, who = self._goes(met)
        rows: list[CollectiveRow] = []
        now = met
        for case in self._order.cases:
            for repeat in range(self._order.repeats):
                row = self._row(case, repeat, now)
                now += (case.warmup + case.iterations) * row.seconds + PAUSE_SECONDS
                if now > min(goes, self._end):
                    return self._cut_off(rows, goes, who)
                rows.append(row)
        return [(now, self._say(node, rows=rows if node == self._nodes[0] else ())) for node in self._nodes]

    def _goes(self, met: float) -> tuple[float, str]:
        """When the first member goes, and which; no name where the network breaks between them."""
        found = [(silent.at_seconds, node) for node, silent in self._silent.items()]
        breaks = self._links.breaks(self._nodes, self._order.rail, met)
        return min([*found, *([(breaks, "")] if breaks is not None else [])], default=(float("inf"), ""))

    def _cut_off(self, rows: Sequence[CollectiveRow], goes: float, who: str) -> list[_Event]:
        done = f"after {len(rows)} of {len(self._order.cases) * self._order.repeats} measurements"
        if goes > self._end:
            said = self._all(self._end, f"the time of {self._order.seconds:.0f} s was over {done}", ())
        elif who and self._silent[who].is_dead:
            said = self._all(goes + 1, f"connection closed by {who} {done}", (who,))
        elif who:
            said = self._all(self._end, f"{who} did not arrive at the collective {done}", (who,))
        else:
            said = self._all(self._end, f"no data came any more {done}", ())
        return [
            (at, self._say(each.node, each.problem, each.missing, rows) if each.node == self._nodes[0] else each)
            for at, each in said
        ]

    def _all(self, at_seconds: float, problem: str, missing: tuple[str, ...]) -> list[_Event]:
        """The same from everybody who is there."""
        return [(at_seconds, self._say(node, problem, missing)) for node in self._nodes if node not in missing]

    def _say(
        self, node: str, problem: str = "", missing: tuple[str, ...] = (), rows: Sequence[CollectiveRow] = ()
    ) -> Collected:
        return Collected(node=node, order=self._order.id, rows=tuple(rows), problem=problem, missing=missing)

    def _row(self, case: CollectiveCase, repeat: int, at_seconds: float) -> CollectiveRow:
        order = self._order
        where = f"{case.operation}/{case.size_bytes}/{case.dtype}/{case.is_in_place}/{case.algorithm}"
        moment = Moment(at_seconds=at_seconds, lasts_seconds=0.5, name=f"{order.id}/{where}/{repeat}")
        bandwidth = self._links.bus_bandwidth(
            self._nodes,
            ranks_per_node=order.ranks_per_node,
            rail=order.rail,
            algorithm=case.algorithm,
            moment=moment,
            operation=case.operation,
        )
        ranks = self._num_ranks
        size = size_bytes(case, ranks)
        factor = algbw_factor(case.operation, ranks) * busbw_factor(case.operation, ranks)
        seconds = ceil(log2(max(2, ranks))) * LATENCY_SECONDS + size * (factor or 1.0) / bandwidth
        algbw, busbw = bandwidths(case.operation, size, ranks, seconds)
        wrong = self._links.num_wrong(self._nodes, order.rail, moment)
        return CollectiveRow(
            case=case,
            repeat=repeat,
            num_ranks=ranks,
            seconds=seconds,
            algbw_bytes_per_second=algbw,
            busbw_bytes_per_second=busbw,
            num_wrong=wrong * ranks,
            slowest_seconds=seconds * (1 + 2 * self._noise),
            wrong_ranks=tuple(range(ranks)) if wrong else (),
            transport="simulated",
        )


def _those(nodes: Sequence[str]) -> str:
    return ", ".join(nodes[:8]) + (f" and {len(nodes) - 8:,} more" if len(nodes) > 8 else "")
