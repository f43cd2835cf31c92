"""The page of a run over many nodes: what to do first, then where, then why.

In order: verdict and what to do; all nodes beside each other in each test; pairs of nodes; distributions; and for each
node that is not fit the evidence, as the page of one node has it. It stays a few megabytes at 2,048 nodes: series are
drawn for the gravest few, reasons are told of more, and all else is in the store (`fryer report RUN --node NODE`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from fryer.collectives.swept import middle_rows
from fryer.evidence import NodeEvidence, NodeVerdict
from fryer.localise import Round, Trial
from fryer.outputs.fleet_figures import fleet_figures
from fryer.outputs.fleet_heat import heat_table
from fryer.outputs.fleet_pairs import pairs_of, pairs_svg
from fryer.outputs.fleet_spread import spreads_of
from fryer.outputs.fleet_summary import (
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
from fryer.outputs.fleet_sweeps import inside_rows, shown_sweeps, sweep_charts, told_judgements
from fryer.outputs.fleet_table import peak_rows
from fryer.outputs.fleet_tiles import tiles
from fryer.outputs.pages import NodePage, node_page, plotly, template
from fryer.outputs.rows import About
from fryer.outputs.wording import devices_line, show_rate
from fryer.records import BYTES
from fryer.result import RunResult
from watchdog.vocabulary.verdicts import Verdict

MOST_WITH_SERIES = 8
"""Nodes whose series are drawn; some 300 kB each."""
MOST_TOLD = 200
"""Nodes whose reasons are told one by one."""
MOST_POINTS = 300
"""Drawn of a series."""
_MOST_REASONS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What the page says of one node that is not fit."""

    node: str
    verdict: Verdict
    reasons: tuple[About, ...]
    num_more: int
    """Reasons that are not shown."""
    page: NodePage | None
    """Its series and figures; None where there are none, or too many such nodes."""
    has_figures: bool
    """There is something to make a page of its own of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRow:
    """One round of measurements between nodes, in words."""

    number: int
    why: str
    groups: str
    rail: str
    middle: str
    lowest: str
    num_broken: int


def render_fleet(result: RunResult) -> str:
    """The page, complete; equal results give equal pages."""
    nodes = troubled(result)
    sections = _sections(result, nodes[:MOST_TOLD])
    linked = frozenset(section.node for section in sections)
    figures = fleet_figures(result)
    pairs = pairs_of(result)
    curves = sweep_charts(result)
    charts = [c.figure for c in curves]
    charts += [c.figure for s in sections if s.page for _, group in s.page.charts for c in group]
    return template("fleet.html").render(
        result=result,
        nodes=fold(result.info.plan.nodes),
        headline=fleet_headline(result),
        counts=counts_line(result),
        groups=[(verdict, fold(names), len(names)) for verdict, names in by_verdict(result).items()],
        actions=actions(result),
        proof=fleet_proof(result),
        tiles=tiles(result, linked),
        heat=heat_table(figures, linked) if figures.tests else None,
        pairs=pairs,
        matrix=pairs_svg(pairs, _not_fit(result)) if pairs and pairs.is_drawn else None,
        rounds=_rounds(result),
        peaks=peak_rows(result.network.rows) if result.network else [],
        sweeps=[(swept, *told_judgements(swept)) for swept in shown_sweeps(result)],
        inside=inside_rows(result),
        curves=curves,
        swept_rows=[row for swept in shown_sweeps(result) for row in middle_rows(swept.rows)],
        spreads=spreads_of(figures),
        sections=sections,
        rest=[(node, fold(names), len(names)) for node, names in alike(nodes[MOST_TOLD:])],
        versions=_versions(result.evidence),
        parts=_parts(result.evidence),
        figures=charts,
        plotly=plotly() if charts else "",
    )


def _not_fit(result: RunResult) -> frozenset[str]:
    """Nodes that do not pass, and the ends of paths to blame."""
    ends = {node for link in result.links for node in link.nodes}
    return frozenset(v.node for v in result.verdicts if v.verdict not in (Verdict.PASS, Verdict.WARN)) | ends


def _sections(result: RunResult, nodes: Sequence[Troubled]) -> list[Section]:
    known = {
        verdict.node: (evidence, verdict) for evidence, verdict in zip(result.evidence, result.verdicts, strict=True)
    }
    drawn = [node.node for node in nodes if known[node.node][0].measurements][:MOST_WITH_SERIES]
    return [_section(node, *known[node.node], is_drawn=node.node in drawn) for node in nodes]


def _section(node: Troubled, evidence: NodeEvidence, verdict: NodeVerdict, *, is_drawn: bool) -> Section:
    return Section(
        node=node.node,
        verdict=node.verdict,
        reasons=node.abouts[:_MOST_REASONS],
        num_more=max(0, len(node.abouts) - _MOST_REASONS),
        page=node_page(evidence, verdict, MOST_POINTS) if is_drawn else None,
        has_figures=bool(evidence.measurements),
    )


def _rounds(result: RunResult) -> list[RoundRow]:
    if result.network is None:
        return []
    trials: dict[tuple[int, int | None], list[Trial]] = {}
    for trial in result.network.trials:
        trials.setdefault((trial.round, trial.rail), []).append(trial)
    return [_round(this, trials.get((this.number, this.rail), [])) for this in result.network.rounds]


def _round(this: Round, trials: Sequence[Trial]) -> RoundRow:
    values = {trial.nodes: median(trial.values) for trial in trials if trial.values}
    lowest = min(values, key=lambda nodes: values[nodes], default=None)
    sizes = Counter(len(group) for group in this.groups)
    return RoundRow(
        number=this.number,
        why=this.why,
        groups=", ".join(f"{number:,} of {size}" for size, number in sizes.items()),
        rail="all" if this.rail is None else str(this.rail),
        middle=show_rate(median(values.values()), BYTES) if values else "-",
        lowest=f"{fold(lowest)} {show_rate(values[lowest], BYTES)}" if lowest else "-",
        num_broken=sum(bool(trial.problem) for trial in trials),
    )


def _versions(all_evidence: Sequence[NodeEvidence]) -> list[tuple[str, str, int]]:
    """Which nodes ran what, most frequent first: more than one line is a fleet of several kinds."""
    found: dict[str, list[str]] = {}
    for evidence in all_evidence:
        words = ", ".join(f"{name} {version}" for name, version in evidence.versions.items()) or "unknown"
        found.setdefault(words, []).append(evidence.node)
    return sorted(((words, fold(names), len(names)) for words, names in found.items()), key=lambda line: -line[2])


def _parts(all_evidence: Sequence[NodeEvidence]) -> list[tuple[str, str, int]]:
    found: dict[str, list[str]] = {}
    for evidence in all_evidence:
        found.setdefault(devices_line(evidence.devices), []).append(evidence.node)
    return sorted(((words, fold(names), len(names)) for words, names in found.items()), key=lambda line: -line[2])
