"""One row a measurement, as the table and the report show it: the figure, its limit, and what was concluded of it.

Pure. It repeats what the judges concluded and adds nothing: a row without a reason of its own has no verdict.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from fryer.evidence import DeviceVerdict, Measurement, NodeEvidence, NodeVerdict, Reason
from fryer.outputs.wording import count_of, show_figure, show_rate, show_ratio
from fryer.result import RunResult
from watchdog.vocabulary.verdicts import Verdict, gravest


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement in words."""

    node: str
    device: str
    burn: str
    case: str
    value: str
    against_median: str
    """How far `value` is from the median of the node's devices in this case; ``-`` where it is the only one."""
    spread: str
    steady: str
    """``from 4s``, or ``never``."""
    limit: str
    """The limit that it was held against, ``-`` where none is told."""
    verdict: Verdict | None
    """None: no reason names this measurement."""
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """A reason, and whom it is about."""

    node: str
    device: str | None
    """None: the node as a whole."""
    reason: Reason


def rows_of(evidence: NodeEvidence, verdict: NodeVerdict) -> list[Row]:
    """All measurements of a node, so ordered that equal cases of its devices stand under each other."""
    position = {device.name: index for index, device in enumerate(evidence.devices)}
    cases: dict[tuple[str, str], int] = {}
    for measurement in evidence.measurements:
        cases.setdefault((measurement.burn, measurement.case), len(cases))
    burns: dict[str, int] = {}
    for burn, _ in cases:
        burns.setdefault(burn, len(burns))
    verdicts = {device.device: device for device in verdict.devices}
    middles = _medians(evidence)
    ordered = sorted(evidence.measurements, key=lambda m: (
        burns[m.burn], cases[m.burn, m.case], position.get(m.device, len(position))))
    return [_row(evidence.node, m, verdicts.get(m.device), middles.get((m.burn, m.case, m.metric))) for m in ordered]


def _medians(evidence: NodeEvidence) -> dict[tuple[str, str, str], float]:
    """Median of each case over the devices of the node, where two or more measured it."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for m in evidence.measurements:
        values.setdefault((m.burn, m.case, m.metric), []).append(m.value)
    return {key: median(found) for key, found in values.items() if len(found) > 1}


def _row(node: str, measurement: Measurement, device: DeviceVerdict | None, middle: float | None) -> Row:
    named = [reason for reason in device.reasons if names(reason, measurement)] if device else []
    limits = [limit for limit in (limit_of(reason, measurement) for reason in named) if limit]
    start = measurement.steady_from_seconds
    return Row(
        node=node, device=measurement.device, burn=measurement.burn, case=measurement.case,
        value=show_rate(measurement.value, measurement.metric, measurement.case),
        against_median=f"{measurement.value / middle - 1:+.1%}" if middle else "-",
        spread=show_ratio(measurement.spread_ratio), steady="never" if start is None else f"from {start:.0f}s",
        limit=limits[0] if limits else "-", verdict=gravest(r.verdict for r in named) if named else None,
        digest=measurement.digest or "")


def names(reason: Reason, measurement: Measurement) -> bool:
    """True when the reason's evidence is about this measurement: same case, and same burn and metric where it tells."""
    evidence = reason.evidence
    return (evidence.get("case") == measurement.case and evidence.get("burn", measurement.burn) == measurement.burn
            and evidence.get("metric", measurement.metric) == measurement.metric)


def limit_of(reason: Reason, measurement: Measurement) -> str:
    """The limit in a reason's evidence (``limit``, ``floor`` or ``ceiling``), in the measurement's unit; else empty."""
    for key, sign in (("limit", ""), ("floor", ">= "), ("ceiling", "<= ")):
        value = reason.evidence.get(key)
        if isinstance(value, float | int) and not isinstance(value, bool):
            return sign + show_rate(float(value), measurement.metric, measurement.case)
        if value is not None:
            return show_figure(key, value)
    return ""


def reasons_of(result: RunResult) -> Iterator[About]:
    """Every reason that is not a pass, gravest first within a node, its devices before what concerns it as a whole."""
    for node in result.verdicts:
        found = [About(node=node.node, device=device.device, reason=reason)
                 for device in node.devices for reason in device.reasons]
        found += [About(node=node.node, device=None, reason=reason) for reason in node.reasons]
        yield from sorted((about for about in found if about.reason.verdict is not Verdict.PASS),
                          key=lambda about: _GRAVITY.index(about.reason.verdict))


_GRAVITY = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.WARN, Verdict.SKIPPED)


def verified_line(evidence: NodeEvidence) -> str:
    """``verified: 120,000 products, 3.20 TB; 2 mismatches``, so that no mismatch says out of how many."""
    totals: dict[str, int] = {}
    for counted in evidence.counted:
        totals[counted.what] = totals.get(counted.what, 0) + counted.count
    if not totals:
        return "verified: nothing"
    words = ", ".join(_show_total(what, count) for what, count in totals.items())
    wrong = len(evidence.mismatches)
    return f"verified: {words}; {count_of(wrong, 'mismatch') if wrong == 1 else f'{wrong:,} mismatches'}"


def _show_total(what: str, count: int) -> str:
    return show_figure("bytes", count) if what == "bytes" else f"{count:,} {what}"


def fixed_width(header: tuple[str, ...], rows: Iterable[tuple[str, ...]], right: frozenset[int]) -> list[str]:
    """Lines of a plain table, two spaces between columns; the columns of `right` are set to the right."""
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return ["  ".join(cell.rjust(width) if column in right else cell.ljust(width)
                      for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
            for row in cells]
