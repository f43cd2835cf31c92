"""Rates between pairs of devices as a matrix, since 56 rows hide the one slow pair of eight GPUs. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from fryer.evidence import NodeEvidence
from fryer.outputs.rows import Row
from fryer.outputs.wording import scale_of
from watchdog.vocabulary.verdicts import Verdict

PAIRS_BURN = "p2p"
_TO = "to "


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The rate from one device to another."""

    text: str
    """The rate in the matrix's unit; ``-`` where there is none."""
    is_good: bool
    """False where a reason speaks against this pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Rates from the device of a row to the device of a column."""

    unit: str
    names: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    """One row a sender, one column a receiver, both in the order of `names`."""


def split_pairs(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Rows that stand for themselves, and rows of pairs of devices."""
    pairs = [row for row in rows if row.burn == PAIRS_BURN and row.case.startswith(_TO)]
    return [row for row in rows if row not in pairs], pairs


def matrix_of(evidence: NodeEvidence, pairs: Sequence[Row]) -> Matrix | None:
    """The matrix of `pairs`; None where there are none."""
    if not pairs:
        return None
    found = [m for m in evidence.measurements if m.burn == PAIRS_BURN and m.case.startswith(_TO)]
    factor, unit = scale_of([m.value for m in found], found[0].metric)
    rates = {(m.device, m.case.removeprefix(_TO)): m.value / factor for m in found}
    bad = {(row.device, row.case.removeprefix(_TO)) for row in pairs if row.verdict not in (Verdict.PASS, None)}
    seen = {name for pair in rates for name in pair}
    names = tuple(device.name for device in evidence.devices if device.name in seen)
    cells = tuple(
        tuple(_cell(rates.get((sender, receiver)), is_good=(sender, receiver) not in bad) for receiver in names)
        for sender in names
    )
    return Matrix(unit=unit, names=names, cells=cells)


def _cell(rate: float | None, *, is_good: bool) -> Cell:
    return Cell(text="-" if rate is None else f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}", is_good=is_good)


def matrix_text(matrix: Matrix) -> list[str]:
    """Lines of the matrix; a pair that a reason speaks against has a ``*``."""
    body = [[cell.text + (" " if cell.is_good else "*") for cell in row] for row in matrix.cells]
    width = max(len(text) for text in [*(f"{name} " for name in matrix.names), *(text for row in body for text in row)])
    label = max(len(name) for name in matrix.names)
    lines = [
        f"{PAIRS_BURN}  {matrix.unit}, from the row's device to the column's; * outside its limit",
        " " * label + " " + "".join(f"{name} ".rjust(width + 1) for name in matrix.names),
    ]
    lines += [
        f"{name.ljust(label)} " + "".join(text.rjust(width + 1) for text in row)
        for name, row in zip(matrix.names, body, strict=True)
    ]
    return [line.rstrip() for line in lines]
