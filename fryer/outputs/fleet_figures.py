"""Each node's figures beside the fleet's: one number a node and test, that of its worst device. Pure.

A test is a burn's case (all pairs of devices of a node are one), or the best pair that a node measured with another.
"Worst" and "beside" are ratios to the median of all devices of the same part in the same test, so that a fleet of two
parts is not two halves of outliers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median

from fryer.evidence import NodeEvidence, NodeVerdict, Reason
from fryer.localise import Trial
from fryer.outputs.fleet_summary import GRAVEST_FIRST, is_network
from fryer.outputs.matrix import PAIRS_BURN
from fryer.records import BYTES
from fryer.result import RunResult
from watchdog.vocabulary.verdicts import Verdict, gravest

NETWORK = "between nodes"
"""Stands in the place of a burn."""
_ALL_PAIRS = "all pairs"
_SCATTER_OF_MAD = 1.4826
"""From the median absolute deviation to the standard deviation, where values are normal."""
_NUM_SCATTERS = 5.0
_LEAST_DEVIATION = 0.03
"""An outlier lies at least so far from the median, however little the others scatter."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Column:
    """One test: what was measured."""

    burn: str
    case: str
    metric: str

    @property
    def title(self) -> str:
        """``gemm bf16 8192x8192x8192``."""
        return f"{self.burn} {self.case}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A node's figure in one test."""

    ratio: float | None
    """To the fleet's median; None where nothing was measured, though a reason is about it."""
    value: float | None
    device: str
    """The one that gave it; empty for the network."""
    verdict: Verdict
    """PASS where no reason is about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFigures:
    """One row: a node, what was concluded, and its cells in the order of the tests (None: not measured)."""

    node: str
    verdict: Verdict
    codes: tuple[str, ...]
    """Of its reasons, gravest first, each once."""
    cells: tuple[Cell | None, ...]

    @property
    def worst_ratio(self) -> float:
        """The smallest of its ratios; infinite where it has none."""
        return min((c.ratio for c in self.cells if c is not None and c.ratio is not None), default=float("inf"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFigures:
    """All nodes beside each other, worst first."""

    tests: tuple[Column, ...]
    medians: tuple[float, ...]
    """Of each test, over all devices of the most frequent part."""
    rows: tuple[NodeFigures, ...]

    def outliers(self, column: int) -> list[NodeFigures]:
        """Rows that a reason speaks against in this test, or that lie far below the others; lowest first."""
        known = [(row, cell) for row in self.rows if (cell := row.cells[column]) is not None]
        ratios = [cell.ratio for _, cell in known if cell.ratio is not None]
        if not ratios:
            return []
        middle = median(ratios)
        scatter = _SCATTER_OF_MAD * median(abs(ratio - middle) for ratio in ratios)
        limit = middle - max(_NUM_SCATTERS * scatter, _LEAST_DEVIATION)
        found = [
            (row, cell.ratio)
            for row, cell in known
            if cell.ratio is not None and (cell.ratio < limit or cell.verdict is not Verdict.PASS)
        ]
        return [row for row, _ in sorted(found, key=lambda each: each[1])]


_Key = tuple[str, str, str]
_Worst = tuple[float, float, str]
"""Ratio, value, device."""


def fleet_figures(result: RunResult) -> FleetFigures:
    """All figures of a run, each node's worst beside the fleet's median."""
    middles, order = _medians(result.evidence)
    pairs = best_pairs(result.network.trials if result.network else ())
    tests = [Column(burn=burn, case=case, metric=metric) for burn, case, metric in order]
    medians = [_most_frequent(middles, key) for key in order]
    if pairs:
        tests.append(Column(burn=NETWORK, case="best pair", metric=BYTES))
        medians.append(median(pairs.values()))
    columns = {test: place for place, test in enumerate(tests)}
    rows = [
        _row(evidence, verdict, middles, columns, (pairs.get(evidence.node), medians[-1] if pairs else 0.0))
        for evidence, verdict in zip(result.evidence, result.verdicts, strict=True)
    ]
    rows.sort(key=lambda row: (GRAVEST_FIRST.index(row.verdict), row.worst_ratio))
    return FleetFigures(tests=tuple(tests), medians=tuple(medians), rows=tuple(rows))


_Middles = Mapping[_Key, Mapping[str, tuple[float, int]]]
"""By test and part: the median, and of how many."""


def _medians(all_evidence: Sequence[NodeEvidence]) -> tuple[_Middles, list[_Key]]:
    """Also the tests: burns in the order in which they were run, cases as they first came."""
    values: dict[_Key, dict[str, list[float]]] = {}
    for evidence in all_evidence:
        parts = {info.name: info.part for info in evidence.devices}
        for m in evidence.measurements:
            if isfinite(m.value):
                key = (m.burn, _ALL_PAIRS if m.burn == PAIRS_BURN else m.case, m.metric)
                values.setdefault(key, {}).setdefault(parts.get(m.device, ""), []).append(m.value)
    burns = {burn: place for place, burn in enumerate(dict.fromkeys(key[0] for key in values))}
    middles = {
        key: {part: (median(found), len(found)) for part, found in by_part.items()} for key, by_part in values.items()
    }
    return middles, sorted(values, key=lambda key: burns[key[0]])


def _most_frequent(middles: _Middles, key: _Key) -> float:
    return max(middles[key].values(), key=lambda each: each[1])[0]


def best_pairs(trials: Sequence[Trial]) -> dict[str, float]:
    """By node: the best median that it gave in a pair, all GPUs together. A bad partner does not count against it."""
    best: dict[str, float] = {}
    for trial in trials:
        if len(trial.nodes) == 2 and trial.rail is None and trial.values:
            value = median(trial.values)
            for node in trial.nodes:
                best[node] = max(best.get(node, 0.0), value)
    return best


def _row(
    evidence: NodeEvidence,
    verdict: NodeVerdict,
    middles: _Middles,
    columns: Mapping[Column, int],
    network: tuple[float | None, float],
) -> NodeFigures:
    """`network`: the node's best pair and the median of all nodes' best pairs."""
    cells: list[Cell | None] = [None] * len(columns)
    against = _against(verdict, columns)
    for (burn, case, metric), (ratio, value, device) in _worst(evidence, middles).items():
        place = columns[Column(burn=burn, case=case, metric=metric)]
        cells[place] = Cell(ratio=ratio, value=value, device=device, verdict=against.pop(place, Verdict.PASS))
    pair, middle = network
    if pair is not None and middle:
        cells[-1] = Cell(
            ratio=pair / middle, value=pair, device="", verdict=against.pop(len(columns) - 1, Verdict.PASS)
        )
    for place, gravity in against.items():
        cells[place] = Cell(ratio=None, value=None, device="", verdict=gravity)
    reasons = [r for r in _reasons(verdict) if r.verdict not in (Verdict.PASS, Verdict.SKIPPED)]
    reasons.sort(key=lambda reason: GRAVEST_FIRST.index(reason.verdict))
    codes = tuple(dict.fromkeys(reason.code for reason in reasons))
    return NodeFigures(node=evidence.node, verdict=verdict.verdict, codes=codes, cells=tuple(cells))


def _worst(evidence: NodeEvidence, middles: _Middles) -> dict[_Key, _Worst]:
    parts = {info.name: info.part for info in evidence.devices}
    worst: dict[_Key, _Worst] = {}
    for m in evidence.measurements:
        if not isfinite(m.value):
            continue
        key = (m.burn, _ALL_PAIRS if m.burn == PAIRS_BURN else m.case, m.metric)
        middle = middles[key][parts.get(m.device, "")][0]
        ratio = m.value / middle if middle else 1.0
        if key not in worst or ratio < worst[key][0]:
            device = f"{m.device} {m.case}" if m.burn == PAIRS_BURN else m.device
            worst[key] = (ratio, m.value, device)
    return worst


def _against(verdict: NodeVerdict, columns: Mapping[Column, int]) -> dict[int, Verdict]:
    """By column: the gravest verdict of the reasons that are about it."""
    if verdict.verdict is Verdict.PASS:
        return {}
    found: dict[int, Verdict] = {}
    for reason in _reasons(verdict):
        if reason.verdict in (Verdict.PASS, Verdict.SKIPPED):
            continue
        for test, place in columns.items():
            if _is_about(reason, test):
                found[place] = gravest([reason.verdict, found.get(place, Verdict.PASS)])
    return found


def _reasons(verdict: NodeVerdict) -> Iterator[Reason]:
    """Of the node itself and of each of its devices."""
    yield from verdict.reasons
    for device in verdict.devices:
        yield from device.reasons


def _is_about(reason: Reason, test: Column) -> bool:
    if is_network(reason):
        return test.burn == NETWORK
    if test.burn == PAIRS_BURN and reason.evidence.get("burn") == PAIRS_BURN:
        return True
    return (
        reason.evidence.get("case") == test.case
        and reason.evidence.get("burn", test.burn) == test.burn
        and reason.evidence.get("metric", test.metric) == test.metric
    )
