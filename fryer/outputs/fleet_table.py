"""A run over many nodes as plain text: one line a change of state on stderr, what was found on stdout at the end.

Nobody reads a line a device of 2,048 nodes: nodes that are fit are one folded line, those that are not come gravest
first with their reasons, then paths, then what to do. The last line is the verdict, as in a run over one node.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

from fryer.collectives.cases import CollectiveRow
from fryer.fleet.orders import Collected, Ended, Message, Progress, Qualified
from fryer.localise import Round
from fryer.outputs.fleet import STATES
from fryer.outputs.fleet_summary import (
    Action,
    Troubled,
    actions,
    alike,
    by_verdict,
    counts_line,
    fleet_headline,
    fleet_proof,
    fold,
    troubled,
)
from fryer.outputs.fleet_sweeps import sweep_lines, sweep_tables
from fryer.outputs.rows import About, fixed_width
from fryer.outputs.wording import count_of, devices_line, last_line, one_line, reason_line, short_id
from fryer.result import RunInfo, RunResult
from watchdog.vocabulary.units import show_duration, show_quantity
from watchdog.vocabulary.verdicts import Verdict

_TOLD = ("connected", "burning", "qualified")
"""States of which the log says when all nodes are in them; of later ones the rounds tell."""
_MOST_NODES = 24
"""Told one by one; a screen and a half. The rest is told in groups, and whole in the JSON and the page."""
_LONGEST_SET = 400
"""Characters of a node set that is still read."""
_MOST_REASONS = 3
_MOST_LINKS = 24
_MOST_ACTIONS = 12


def fleet_text(result: RunResult) -> str:
    """Everything that a person needs of a run over many nodes, ending with the line that scripts look for."""
    info = result.info
    parts = [
        [
            f"run {short_id(info.run_id)}  {info.started_at}  took {show_duration(result.seconds)}",
            info.command,
        ],
        [fleet_headline(result), counts_line(result), *_hardware_lines(result)],
        *_node_parts(troubled(result)),
        _link_lines(result),
        _action_lines(actions(result)),
        _network_lines(result),
        sweep_lines(result),
        *([table] for table in sweep_tables(result)),
        _fit_lines(result),
        [last_line(result)],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _hardware_lines(result: RunResult) -> list[str]:
    """``8 x NVIDIA H100 80GB HBM3 each``; where nodes differ, how many have what."""
    kinds = Counter(devices_line(evidence.devices) for evidence in result.evidence if evidence.devices)
    if not kinds:
        return []
    if len(kinds) == 1:
        return [f"{next(iter(kinds))} each"]
    return [f"{kind} each on {count_of(number, 'node')}" for kind, number in kinds.most_common(4)]


def _node_parts(nodes: Sequence[Troubled]) -> list[list[str]]:
    parts = [_node_lines(node) for node in nodes[:_MOST_NODES]]
    for example, names in alike(nodes[_MOST_NODES:]):
        lines = _node_lines(example)
        parts.append([f"{fold(names)}  {example.verdict}  {count_of(len(names), 'more node')}, for example", *lines])
    return parts


def _node_lines(node: Troubled) -> list[str]:
    lines = [f"{node.node}  {node.verdict}"]
    shown = node.abouts[:_MOST_REASONS]
    lines += [f"  {_reason(about)}" for about in shown]
    if len(node.abouts) > len(shown):
        lines.append(f"  and {count_of(len(node.abouts) - len(shown), 'more reason')}")
    return lines


def _reason(about: About) -> str:
    return reason_line(about.device or "node", about.reason)


def _link_lines(result: RunResult) -> list[str]:
    if not result.links:
        return []
    lines = ["paths between nodes"]
    lines += [
        one_line(f"{'-'.join(link.nodes)} {link.verdict} {link.code}: {link.proof}")
        for link in result.links[:_MOST_LINKS]
    ]
    if len(result.links) > _MOST_LINKS:
        lines.append(f"and {count_of(len(result.links) - _MOST_LINKS, 'more path')}")
    return [lines[0], *(f"  {line}" for line in lines[1:])]


def _action_lines(found: Sequence[Action]) -> list[str]:
    if not found:
        return []
    lines = ["what to do, most urgent first"]
    for number, action in enumerate(found[:_MOST_ACTIONS], start=1):
        lines.append(f"  {number}. {action.whom} ({action.code}): {one_line(action.remedy)}")
        if action.repeat:
            lines.append(f"     repeat: {action.repeat}")
    if len(found) > _MOST_ACTIONS:
        lines.append(f"  and {count_of(len(found) - _MOST_ACTIONS, 'more thing')}, in the report")
    return lines


def _network_lines(result: RunResult) -> list[str]:
    network, proof = result.network, fleet_proof(result)
    if network is None:
        return []
    rounds = f"{count_of(len(network.trials), 'measurement')} in {count_of(len(network.rounds), 'round')}"
    expected = network.expected_bytes_per_second
    figure = f", healthy: {show_quantity(expected, 'B/s')}" if expected else ""
    lines = [f"between nodes  {rounds}{figure}", *(f"  {one_line(sentence)}" for sentence in proof)]
    peaks = peak_rows(network.rows)
    if peaks:
        lines += ["", *_peaks(peaks)]
    return lines


def peak_rows(rows: Sequence[CollectiveRow]) -> list[CollectiveRow]:
    """Of each operation, algorithm, placement and number of ranks the largest size: its median repeat, with the wrong
    elements of all of them."""
    groups: dict[tuple[object, ...], list[CollectiveRow]] = {}
    for row in rows:
        key = (row.case.operation, row.case.algorithm, row.case.is_in_place, row.num_ranks)
        groups.setdefault(key, []).append(row)
    found = []
    for group in groups.values():
        largest = max(row.case.size_bytes for row in group)
        repeats = sorted((r for r in group if r.case.size_bytes == largest), key=lambda r: r.busbw_bytes_per_second)
        num_wrong = sum(row.num_wrong for row in repeats)
        found.append(replace(repeats[(len(repeats) - 1) // 2], num_wrong=num_wrong))
    return found


def _peaks(rows: Sequence[CollectiveRow]) -> list[str]:
    """The largest size of each operation, in nccl-tests' units."""
    header = ("operation", "size (B)", "type", "ranks", "time (us)", "algbw (GB/s)", "busbw (GB/s)", "#wrong")
    cells = [
        (
            row.case.operation + (f" {row.case.algorithm}" if row.case.algorithm else ""),
            str(row.case.size_bytes),
            row.case.dtype,
            str(row.num_ranks),
            f"{row.seconds * 1e6:.1f}",
            f"{row.algbw_bytes_per_second / 1e9:.2f}",
            f"{row.busbw_bytes_per_second / 1e9:.2f}",
            str(row.num_wrong),
        )
        for row in rows
    ]
    return [f"  {line}" for line in fixed_width(header, cells, frozenset({1, 3, 4, 5, 6, 7}))]


def _fit_lines(result: RunResult) -> list[str]:
    """The set of those that passed; of a fleet with many holes in it only their number."""
    fit = by_verdict(result).get(Verdict.PASS)
    if not fit:
        return []
    folded = fold(fit)
    words = folded if len(folded) <= _LONGEST_SET else f"all other {count_of(len(fit), 'node')}"
    return [f"{words}  PASS"]


class FleetTable:
    """Lines on `stream_err` while the run goes on, `fleet_text` on `stream_out` at its end."""

    def __init__(self, stream_out: TextIO, stream_err: TextIO) -> None:
        self._out = stream_out
        self._err = stream_err
        self._states: Counter[str] = Counter()
        self._of: dict[str, str] = {}
        self._said: set[str] = set()

    def start(self, info: RunInfo) -> None:
        """Say which run this is, over whom, and how long it will measure."""
        self._of = dict.fromkeys(info.plan.nodes, STATES[0])
        self._states = Counter(self._of.values())
        burns = ", ".join(f"{phase.burn} {show_duration(phase.seconds)}" for phase in info.plan.phases)
        self._say(f"run {short_id(info.run_id)} began on {fold(info.plan.nodes)}: {burns}")

    def state(self, node: str, state: str, why: str = "") -> None:
        """Say who is left out and why; of the others, when all have come so far."""
        before = self._of.get(node)
        if before == state:
            return
        self._of[node] = state
        self._states[state] += 1
        if before is not None:
            self._states[before] -= 1
        if state == "left out":
            self._say(f"{node}: left out{f': {why}' if why else ''}")
        elif state in _TOLD and self._states[state] == len(self._of) - self._states["left out"]:
            self._say(f"{count_of(self._states[state], 'node')}: {state}")

    def message(self, message: Message) -> None:
        """Say what went wrong; signs of life are for the live view."""
        line = trouble_of(message)
        if line and line not in self._said:  # each sign of life repeats the failures so far
            self._said.add(line)
            self._say(line)

    def round(self, this: Round) -> None:
        """Say that groups measure together."""
        of_rail = "" if this.rail is None else f" of rail {this.rail} alone"
        self._say(f"round {this.number}{of_rail}: {count_of(len(this.groups), 'group')}, {this.why}")

    def sweep(self, scope: str, groups: tuple[tuple[str, ...], ...], what: str) -> None:
        """Say that a sweep begins."""
        del scope
        self._say(f"sweep: {what}, {count_of(len(groups), 'group')}")

    def finish(self, result: RunResult) -> None:
        """Write what was found."""
        self._out.write(fleet_text(result))
        self._out.flush()

    def close(self) -> None:
        """Nothing is held."""

    def _say(self, line: str) -> None:
        self._err.write(one_line(line) + "\n")
        self._err.flush()


def trouble_of(message: Message) -> str:
    """What a person should see at once of a worker's message; empty where nothing is wrong."""
    match message:
        case Ended(code="done"):
            return ""
        case Ended():
            return f"{message.node}: {message.code}: {message.message}"
        case Progress(problems=(first, *_)):
            return f"{message.node} {message.what}: {first}"
        case Collected(problem=problem) if problem:
            return f"{message.node}: {problem}"
        case Qualified() if message.evidence.mismatches:
            number = len(message.evidence.mismatches)
            return f"{message.node}: {number:,} wrong {'result' if number == 1 else 'results'}"
    return ""
