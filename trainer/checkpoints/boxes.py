"""A stretch of a flattened tensor as boxes of the tensor. Pure.

The distributed optimizer gives each data parallel rank a stretch of a parameter's elements, which may begin and end in
the middle of a row. Megatron gathers all stretches to save whole parameters; as boxes each rank saves its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod


@dataclass(frozen=True, slots=True)
class Box:
    """Elements ``begin <= index < begin + size`` on each axis, which are consecutive in the flattened tensor."""

    begin: tuple[int, ...]
    size: tuple[int, ...]

    @property
    def num_elements(self) -> int:
        """Of the box."""
        return prod(self.size)


def boxes(shape: tuple[int, ...], begin: int, end: int) -> Iterator[Box]:
    """Boxes that hold the elements ``begin <= index < end`` of a row-major tensor, in their order, as few as there can
    be: at most two an axis but for the first, which has one more."""
    if begin >= end:
        return
    if len(shape) <= 1:
        yield Box((begin,) * len(shape), (end - begin,) * len(shape))
        return
    row = prod(shape[1:])
    first, last = -(-begin // row), end // row  # whole rows
    if first > last:  # within one row
        yield from _in_row(shape, last, begin - last * row, end - last * row)
        return
    yield from _in_row(shape, first - 1, begin - (first - 1) * row, row if begin < first * row else 0)
    if first < last:
        yield Box((first, *(0 for _ in shape[1:])), (last - first, *shape[1:]))
    yield from _in_row(shape, last, 0, end - last * row)


def _in_row(shape: tuple[int, ...], index: int, begin: int, end: int) -> Iterator[Box]:
    for box in boxes(shape[1:], begin, end):
        yield Box((index, *box.begin), (1, *box.size))
