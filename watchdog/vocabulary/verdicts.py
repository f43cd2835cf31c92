"""The verdict on a device, a node or a run, and how several become one."""

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """What was concluded. Only PASS and WARN let a node join a job."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    """Measured, and within every limit."""
    WARN = "WARN"
    """Measured, usable, and worth a look."""
    FAIL = "FAIL"
    """Measured, and outside a limit."""
    INCONCLUSIVE = "INCONCLUSIVE"
    """Measured, but what was measured does not settle it."""
    SKIPPED = "SKIPPED"
    """Not measured, for a stated reason. Never a pass."""
    ERROR = "ERROR"
    """The tool itself failed, or could not get what it needs. Never a pass."""


_GRAVEST_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.WARN, Verdict.PASS, Verdict.SKIPPED)


def gravest(verdicts: Iterable[Verdict]) -> Verdict:
    """Combine verdicts: the gravest wins, a skip never outweighs a pass, and nothing at all is SKIPPED."""
    found = set(verdicts)
    return next((v for v in _GRAVEST_FIRST if v in found), Verdict.SKIPPED)


def exit_code(verdict: Verdict, *, strict: bool = False) -> int:
    """Exit code of a command that ends with `verdict`: 0 good, 1 failed, 3 cannot tell; `strict` turns WARN into 1."""
    if verdict is Verdict.FAIL or (verdict is Verdict.WARN and strict):
        return 1
    return 0 if verdict in (Verdict.PASS, Verdict.WARN) else 3
