"""Whether collectives are as fast as they should be: the plateau is judged, never an average over sizes. Pure.

An average over a sweep follows from where the sweep begins. So from 1 GiB up each size is held against the
expectation, by the median of its repeats; where all sizes are smaller, the largest, and the verdict says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from fryer.collectives.cases import CollectiveRow
from fryer.collectives.expected import PLATEAU_BYTES, Expectation
from watchdog.vocabulary.units import show_quantity
from watchdog.vocabulary.verdicts import Verdict

_CEILING_SLACK = 1.02
"""For clocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was concluded of one operation."""

    verdict: Verdict
    code: str
    """``at_expected``, ``below_expected``, ``above_ceiling``, ``wrong_sums``, ``no_expectation``, ``too_small``,
    ``not_measured``."""
    message: str
    """One sentence with the figures."""
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau:
    """What was measured at large sizes."""

    sizes: tuple[int, ...]
    busbw_bytes_per_second: float
    """The lowest of the sizes' medians."""
    least: float
    most: float
    """Over all repeats of those sizes."""
    is_large: bool
    """The sizes are 1 GiB and more."""


def plateau(rows: Sequence[CollectiveRow]) -> Plateau | None:
    """Of rows of one operation, format, place and number of ranks; None without rows."""
    if not rows:
        return None
    large = [row for row in rows if row.case.size_bytes >= PLATEAU_BYTES]
    most = max(row.case.size_bytes for row in rows)
    kept = large or [row for row in rows if row.case.size_bytes == most]
    by_size: dict[int, list[float]] = {}
    for row in kept:
        by_size.setdefault(row.case.size_bytes, []).append(row.busbw_bytes_per_second)
    values = [row.busbw_bytes_per_second for row in kept]
    return Plateau(
        sizes=tuple(sorted(by_size)),
        busbw_bytes_per_second=min(median(found) for found in by_size.values()),
        least=min(values),
        most=max(values),
        is_large=bool(large),
    )


def judge_rows(rows: Sequence[CollectiveRow], expectation: Expectation | None) -> Judgement:
    """The verdict on rows of one operation, format, place and number of ranks.

    A wrong element at any size is FAIL. Without an expectation it is SKIPPED: measured, and held against nothing.
    Below 1 GiB a slow figure is INCONCLUSIVE, for the expectation does not hold there.
    """
    found = plateau(rows)
    if found is None:
        return Judgement(verdict=Verdict.ERROR, code="not_measured", message="nothing was measured")
    evidence = _evidence(rows, found, expectation)
    if wrong := sum(row.num_wrong for row in rows):
        return Judgement(verdict=Verdict.FAIL, code="wrong_sums", message=_wrong(rows, wrong), evidence=evidence)
    verdict, code, why = _compare(found, expectation)
    message = f"{_what(rows)} over {rows[0].num_ranks} ranks reached {_figures(found)}{why}"
    return Judgement(verdict=verdict, code=code, message=message, evidence=evidence)


def _compare(found: Plateau, expectation: Expectation | None) -> tuple[Verdict, str, str]:
    value = found.busbw_bytes_per_second
    if expectation is None:
        return Verdict.SKIPPED, "no_expectation", "; nobody has published what is healthy here, so it is not judged"
    if found.most > expectation.ceiling * _CEILING_SLACK:
        return (
            Verdict.ERROR,
            "above_ceiling",
            f", more than the {_rate(expectation.ceiling)} that the links carry: the measurement is wrong",
        )
    healthy = f"{_rate(expectation.typical)} is typical: {expectation.source}"
    if value >= expectation.warn:
        return Verdict.PASS, "at_expected", f"; {healthy}"
    if not found.is_large:
        return Verdict.INCONCLUSIVE, "too_small", f"; {healthy}, which holds from 1 GiB up: measure larger sizes"
    verdict = Verdict.FAIL if value < expectation.fail else Verdict.WARN
    limit = expectation.fail if verdict is Verdict.FAIL else expectation.warn
    return verdict, "below_expected", f", below {_rate(limit)}; {healthy}"


def _wrong(rows: Sequence[CollectiveRow], total: int) -> str:
    bad = [row for row in rows if row.num_wrong]
    ranks = sorted({rank for row in bad for rank in row.wrong_ranks})
    sizes = sorted({row.case.size_bytes for row in bad})
    where = f" on ranks {', '.join(map(str, ranks[:8]))}{' …' if len(ranks) > 8 else ''}" if ranks else ""
    return (
        f"{_what(rows)} over {rows[0].num_ranks} ranks gave {total} wrong elements{where}, first at "
        f"{sizes[0]} B: data are corrupted on the way, whatever the speed"
    )


def _what(rows: Sequence[CollectiveRow]) -> str:
    case = rows[0].case
    return f"{case.operation}{' in place' if case.is_in_place else ''}"


def _evidence(rows: Sequence[CollectiveRow], found: Plateau, expectation: Expectation | None) -> dict[str, object]:
    known = {} if expectation is None else {"expected": expectation.typical, "warn": expectation.warn}
    return {
        "operation": rows[0].case.operation,
        "dtype": rows[0].case.dtype,
        "in_place": rows[0].case.is_in_place,
        "algorithm": rows[0].case.algorithm,
        "num_ranks": rows[0].num_ranks,
        "sizes": list(found.sizes),
        "busbw_bytes_per_second": found.busbw_bytes_per_second,
        "least": found.least,
        "most": found.most,
        "transport": sorted({row.transport for row in rows if row.transport}),
        **known,
    }


def _figures(found: Plateau) -> str:
    sizes = found.sizes
    span = f"{show_size(sizes[0])}" if len(sizes) == 1 else f"{show_size(sizes[0])} to {show_size(sizes[-1])}"
    return f"{_rate(found.busbw_bytes_per_second)} at {span} ({_rate(found.least)} to {_rate(found.most)})"


def _rate(value: float) -> str:
    return show_quantity(value, "B/s")


def show_size(size: int) -> str:
    """``8 GiB``, ``512 B``."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size} B"
