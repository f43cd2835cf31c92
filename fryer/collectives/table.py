"""Rows as nccl-tests prints them: its columns, its widths, its footer. Pure.

Source: nccl-tests 2.19.6, src/util.cu (`writeBenchmarkLinePreamble`, `writeBenchmarkLineBody`, `writeResultFooter`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from fryer.collectives.busbw import REDUCING, ROOTED, extent, size_bytes
from fryer.collectives.cases import CollectiveRow

_NOT_MEASURED = "N/A"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankDevice:
    """What a rank ran on."""

    rank: int
    pid: int
    host: str
    index: int
    """Of the GPU in its node; 0 for processors."""
    pci: str
    """``0000:1b:00``; empty for processors."""
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Out of place and in place beside each other."""

    out_of_place: CollectiveRow | None
    in_place: CollectiveRow | None

    @property
    def any(self) -> CollectiveRow:
        """Whichever was measured."""
        row = self.out_of_place or self.in_place
        assert row is not None
        return row


def lines_of(rows: Sequence[CollectiveRow]) -> list[Line]:
    """`rows` of one operation paired by size, format, algorithm and repeat, in the order of their first."""
    pairs: dict[tuple[object, ...], dict[bool, CollectiveRow]] = {}
    for row in rows:
        case = row.case
        key = (case.operation, case.size_bytes, case.dtype, case.algorithm, row.repeat, row.num_ranks)
        pairs.setdefault(key, {})[case.is_in_place] = row
    return [Line(out_of_place=pair.get(False), in_place=pair.get(True)) for pair in pairs.values()]


def redop_and_root(operation: str) -> tuple[str, int]:
    """nccl-tests' columns ``redop`` and ``root``."""
    if operation == "hypercube":
        return "", -1
    redop = "sum" if operation in REDUCING or operation == "sendrecv" else "none"
    return redop, 0 if operation in ROOTED else -1


def render_table(rows: Sequence[CollectiveRow], devices: Sequence[RankDevice] = ()) -> str:
    """The output of nccl-tests for `rows`: one table an operation, each with its own footer; empty for no rows."""
    operations = dict.fromkeys(row.case.operation for row in rows)
    return "".join(
        "\n".join(_table(operation, [row for row in rows if row.case.operation == operation], devices)) + "\n"
        for operation in operations
    )


def _table(operation: str, rows: Sequence[CollectiveRow], devices: Sequence[RankDevice]) -> Iterator[str]:
    yield f"# Collective test starting: {operation}_perf"
    yield _settings(rows)
    yield "#"
    yield "# Using devices"
    for device in devices:
        yield _device(device)
    yield "#"
    blank = "# " + "  ".join(f"{'':>{width}}" for width in _WIDTHS[:5])
    yield f"{blank}           out-of-place                       in-place          "
    results = ("time", "algbw", "busbw", "#wrong")
    yield _heading(("size", "count", "type", "redop", "root", *results, *results))
    units = ("(us)", "(GB/s)", "(GB/s)", "")
    yield _heading(("(B)", "(elements)", "", "", "", *units, *units))
    for line in lines_of(rows):
        yield _preamble(line.any) + _body(line.out_of_place) + _body(line.in_place)
    num_bad = sum(row.num_wrong > 0 for row in rows)
    yield f"# {'Out of bounds values':<20} : {num_bad} {'FAILED' if num_bad else 'OK'}"
    yield f"# {'Avg bus bandwidth':<20} : {average_busbw(rows) / 1e9:g} "
    yield "#"
    yield f"# Collective test concluded: {operation}_perf"


_WIDTHS = (10, 12, 8, 6, 6, 7, 6, 6, 6, 7, 6, 6, 6)


def _heading(words: Sequence[str]) -> str:
    return "# " + "  ".join(f"{word:>{width}}" for word, width in zip(words, _WIDTHS, strict=True)) + " "


def average_busbw(rows: Sequence[CollectiveRow]) -> float:
    """nccl-tests' ``Avg bus bandwidth`` in bytes per second, over all sizes, so of no use as a limit; 0 for no rows."""
    return sum(row.busbw_bytes_per_second for row in rows) / len(rows) if rows else 0.0


def _settings(rows: Sequence[CollectiveRow]) -> str:
    every = sorted({row.case.size_bytes for row in rows})
    factor = every[1] // every[0] if len(every) > 1 else 1
    warmup, iterations = max(row.case.warmup for row in rows), max(row.case.iterations for row in rows)
    return (
        f"# nThread 1 nGpus 1 minBytes {every[0]} maxBytes {every[-1]} step: {factor}(factor) "
        f"warmup iters: {warmup} iters: {iterations} agg iters: 1 validation: 1 graph: 0 unalign: 0"
    )


def _device(device: RankDevice) -> str:
    return (
        f"#  Rank {device.rank:2d} Group {0:2d} Pid {device.pid:6d} on {device.host:>10} "
        f"device {device.index:2d} [{device.pci}] {device.name}"
    )


def _preamble(row: CollectiveRow) -> str:
    redop, root = redop_and_root(row.case.operation)
    size, count = size_bytes(row.case, row.num_ranks), extent(row.case, row.num_ranks).count
    return f"{size:12d}  {count:12d}  {row.case.dtype:>8}  {redop:>6}  {root:6d}"


def _body(row: CollectiveRow | None) -> str:
    if row is None:
        return f"  {_NOT_MEASURED:>7}  {_NOT_MEASURED:>6}  {_NOT_MEASURED:>6}  {_NOT_MEASURED:>6}"
    time = fit_number(row.seconds * 1e6, 7)
    algbw, busbw = (fit_number(rate / 1e9, 6) for rate in (row.algbw_bytes_per_second, row.busbw_bytes_per_second))
    return f"  {time:>7}  {algbw:>6}  {busbw:>6}  {f'{row.num_wrong:g}':>6}"


def fit_number(value: float, width: int) -> str:
    """`value` with two decimals, one, or none, whichever is the first to fit; else as a power of ten."""
    if isfinite(value):
        for decimals in (2, 1, 0):
            text = f"{value:{width}.{decimals}f}"
            if len(text) <= width:
                return text
    return f"{value:.1e}" if width >= 7 else f"{value:.0e}"
