"""What a reader gives, and what it says when it can't. Plain words: nothing here reads or judges."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from watchdog.detectors.training.words import Mark, Point, RankPoint
from watchdog.vocabulary.errors import FryerError


class Unreadable(FryerError):  # noqa: N818 - a fact about a file, told in one sentence
    """A file that no reader can read, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLosses:
    """Losses of one step by source of data: which of them does a spike come from? Goes before the step's `Point`."""

    step: int
    losses: Mapping[str, float]


Item: TypeAlias = tuple[str, Point | Mark | RankPoint | SourceLosses]
"""(the run's name as the file has it, empty where it has none; what the file says of it)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a person wants files to be read."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Field of `columns.FIELDS` -> the column that it is in."""
    wide: str = ""
    """Field that the columns of a wide table hold, one a run; empty: found by its names and values."""


@dataclass(slots=True)
class Reading:
    """What becomes known of a file while it is read."""

    columns: dict[str, str] = field(default_factory=dict)
    """Field -> the column that it was read from, the first one that was."""
    num_unread: int = 0
    """Lines that should have been points, and are none: cut off, or not numbers."""
    first_unread: int = 0
    """Line of the first of them, from 1."""
    note: str = ""
    """A choice that was made for want of a better name, in one sentence."""

    def unread(self, line: int) -> None:
        """A line that is no point."""
        self.num_unread += 1
        self.first_unread = self.first_unread or line


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A file whose format is known."""

    name: str
    """As it was typed."""
    format: str
    """``CSV``, ``Megatron log``..."""
    read: Callable[[Reading], Iterator[Item]]
    """Everything in it, in its order; may be called again. Raises `Unreadable`."""
