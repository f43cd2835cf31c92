"""Time limits as Slurm's users write them. Pure."""

import re

from watchdog.vocabulary.errors import UsageError
from watchdog.vocabulary.units import parse_duration

_SLURM = re.compile(r"(?:(?P<days>\d+)-)?(?P<fields>\d+(?::\d+){0,2})")


def parse_limit(text: str) -> float:
    """Seconds of ``90`` (minutes), ``90:00``, ``2:00:00``, ``1-12``, ``1-12:30``, ``1-12:30:00`` as in sbatch(1); else
    of ``90m``, ``2h`` as elsewhere here. Raises `UsageError` for anything else, and for 0."""
    found = _SLURM.fullmatch(text.strip())
    if found is None:
        return parse_duration(text)
    fields = [int(field) for field in found["fields"].split(":")]
    if found["days"] is not None:
        hours, minutes, seconds = [*fields, 0, 0][:3]
    elif len(fields) == 3:
        hours, minutes, seconds = fields
    else:
        hours, (minutes, seconds) = 0, [*fields, 0][:2]
    total = ((int(found["days"] or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
    if total == 0:
        raise UsageError(f"--time {text} is no time at all; give for example 2:00:00 or 2h")
    return float(total)
