"""The error tree. Each message says what failed, on what, with which values, and what to do.

FryerError
├── UsageError        wrong arguments, settings or scenario: a person's to fix            exit 2
├── StoreError        the database can't be opened, read or written                       exit 3
├── SourceMissing     a source of readings that this machine does not have                skip
└── SourceFailed      a source that should work and does not: UNKNOWN, never healthy      unknown
"""

from collections.abc import Iterable
from difflib import get_close_matches


class FryerError(Exception):
    """An error that a person is told in one sentence."""


class UsageError(FryerError):
    """Wrong arguments, settings or scenario."""


class StoreError(FryerError):
    """The database can't be opened, read or written."""


class SourceMissing(FryerError):  # noqa: N818 - an absent source is a fact, not an error
    """A source of readings that this machine does not have."""


class SourceFailed(FryerError):  # noqa: N818 - the same family
    """A source of readings that should work and does not."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which of `known` is meant by `word`: ``; did you mean 'x'?`` or ``; known: x, y``."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names)}"
