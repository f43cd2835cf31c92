"""One row a measurement, as the table and the report show it: the figure, its limit, and what was concluded of it.

Pure. It repeats what the judges concluded and adds nothing: a figure passes where none of their reasons is about it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from fryer.evidence import Measurement, NodeEvidence, NodeVerdict, Reason
from fryer.outputs.wording import count_of, show_figure, show_rate, show_rate_beside, show_ratio
from fryer.parts import find_part
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
    """The limit that a reason tells; for a figure that passed, the part's floor; ``-`` where neither is known."""
    verdict: Verdict | None
    """PASS where no reason speaks against it; None where the device was not judged."""
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
    alike = _values(evidence)
    ordered = sorted(
        evidence.measurements,
        key=lambda m: (burns[m.burn], cases[m.burn, m.case], position.get(m.device, len(position))),
    )
    return [_row(evidence, m, verdict, alike[m.burn, m.case, m.metric]) for m in ordered]


def _values(evidence: NodeEvidence) -> dict[tuple[str, str, str], list[float]]:
    """The figures of each burn, case and metric, of all devices of the node."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for m in evidence.measurements:
        values.setdefault((m.burn, m.case, m.metric), []).append(m.value)
    return values


def _row(evidence: NodeEvidence, measurement: Measurement, verdict: NodeVerdict, among: Sequence[float]) -> Row:
    """`among`: the figures of all devices of the node in the same case."""
    judged = next((device for device in verdict.devices if device.device == measurement.device), None)
    own = judged.reasons if judged else ()
    named = [reason for reason in own if is_about(reason, measurement)]
    named += [reason for reason in _pair_reasons(verdict) if _is_slow_pair(reason, measurement)]
    limits = [limit for limit in (limit_of(reason, measurement) for reason in named) if limit]
    start = measurement.steady_from_seconds
    middle = median(among)
    return Row(
        node=evidence.node,
        device=measurement.device,
        burn=measurement.burn,
        case=measurement.case,
        value=show_rate_beside(measurement.value, among, measurement.metric, measurement.case),
        against_median=f"{round(measurement.value / middle - 1, 3) + 0.0:+.1%}" if len(among) > 1 and middle else "-",
        spread=show_ratio(measurement.spread_ratio),
        steady="never" if start is None else f"from {start:.0f}s",
        limit=limits[0] if limits else _floor(evidence, measurement),
        verdict=gravest(r.verdict for r in named) if named else Verdict.PASS if judged else None,
        digest=measurement.digest or "",
    )


def _floor(evidence: NodeEvidence, measurement: Measurement) -> str:
    """The part's floor as `fryer.judges.floor` holds it against a figure that passed; ``-`` where none is known."""
    part = next((find_part(d.part) for d in evidence.devices if d.name == measurement.device), None)
    floor = part.floor(measurement.burn, measurement.case, measurement.metric) if part else None
    return f">= {show_rate(floor.warn, measurement.metric, measurement.case)}" if floor else "-"


def is_about(reason: Reason, measurement: Measurement) -> bool:
    """True when the evidence of a device's reason is about this one of its measurements."""
    evidence = reason.evidence
    return (
        reason.verdict is not Verdict.PASS
        and evidence.get("case") == measurement.case
        and evidence.get("burn", measurement.burn) == measurement.burn
        and evidence.get("metric", measurement.metric) == measurement.metric
    )


def _pair_reasons(verdict: NodeVerdict) -> Iterator[Reason]:
    """Reasons about pairs of devices (`fryer.judges.pairs`), each of which concerns measurements of two devices."""
    for reasons in [verdict.reasons, *(device.reasons for device in verdict.devices)]:
        yield from (reason for reason in reasons if isinstance(reason.evidence.get("pairs"), Mapping))


def _is_slow_pair(reason: Reason, measurement: Measurement) -> bool:
    pairs, limit = reason.evidence["pairs"], reason.evidence.get("limit")
    return (
        isinstance(pairs, Mapping)
        and isinstance(limit, float | int)
        and measurement.value < limit
        and reason.evidence.get("burn") == measurement.burn
        and f"{measurement.device} {measurement.case}" in pairs
    )


def limit_of(reason: Reason, measurement: Measurement) -> str:
    """The limit in a reason's evidence: ``<= `` a ceiling, ``>= `` a floor or a share of a reference; else empty."""
    evidence = reason.evidence
    word = "fail" if reason.verdict is Verdict.FAIL else "warn"
    ceiling = _number(evidence, "ceiling")
    if ceiling is not None:
        return f"<= {show_rate(ceiling, measurement.metric, measurement.case)}"
    limit = next((number for name in ("limit", word) if (number := _number(evidence, name)) is not None), None)
    reference = next(
        (number for name in ("reference", "expected") if (number := _number(evidence, name)) is not None), None
    )
    ratio = _number(evidence, f"{word}_ratio")
    if limit is None and reference is not None and ratio is not None:
        limit = reference * ratio
    return f">= {show_rate(limit, measurement.metric, measurement.case)}" if limit is not None else ""


def _number(evidence: Mapping[str, object], name: str) -> float | None:
    value = evidence.get(name)
    return float(value) if isinstance(value, float | int) and not isinstance(value, bool) else None


def reasons_of(result: RunResult) -> Iterator[About]:
    """Every reason that is not a pass: gravest subject first, its reasons together and gravest first."""
    for node in result.verdicts:
        yield from reasons_about(node)


def reasons_about(node: NodeVerdict) -> Iterator[About]:
    """The same of one node."""
    subjects: list[tuple[str | None, Sequence[Reason]]] = [(d.device, d.reasons) for d in node.devices]
    subjects.append((None, node.reasons))
    found = [
        (device, sorted((r for r in reasons if r.verdict is not Verdict.PASS), key=_gravity))
        for device, reasons in subjects
    ]
    for device, reasons in sorted((each for each in found if each[1]), key=lambda each: _gravity(each[1][0])):
        yield from (About(node=node.node, device=device, reason=reason) for reason in reasons)


def _gravity(reason: Reason) -> int:
    return _GRAVITY.index(reason.verdict)


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
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
