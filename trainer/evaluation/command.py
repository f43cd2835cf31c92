"""The plan's evaluation command as a list of words. Pure."""

import re
import shlex
from pathlib import Path

from watchdog.vocabulary.errors import UsageError

_PLACE = re.compile(r"\{(checkpoint|step)\}")


def words_of(command: str, *, checkpoint: Path, step: int) -> list[str]:
    """Split as a shell would, then with ``{checkpoint}`` and ``{step}`` put in: a path with spaces stays one word.

    Raises `UsageError` for a command that no shell could split, or an empty one.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"evaluation.command is {command!r}, which can't be split into words: {error}") from error
    if not words:
        raise UsageError(f"evaluation.command is {command!r}, which has no words; leave it out for none")
    values = {"checkpoint": str(checkpoint), "step": str(step)}
    return [_PLACE.sub(lambda found: values[found[1]], word) for word in words]
