"""Parse and show durations, bytes and rates. Inside the program only base units exist: seconds, bytes, hertz, watts."""

import re
from math import isfinite

from watchdog.vocabulary.errors import UsageError

_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def parse_duration(text: str) -> float:
    """Seconds in ``10s``, ``1m30s``, ``250ms``, ``2h`` or a plain number of seconds; raises `UsageError`."""
    stripped = text.strip()
    if re.fullmatch(r"\d+(?:\.\d+)?", stripped):
        return float(stripped)
    parts = _DURATION.findall(stripped)
    if not parts or "".join(number + unit for number, unit in parts) != stripped:
        raise UsageError(f"{text!r} is not a duration; write for example 10s, 1m30s or 2h")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if not isfinite(seconds):
        raise UsageError(f"{text!r} is too long a duration; the longest is 30d")
    return seconds


def show_duration(seconds: float) -> str:
    """``85`` -> ``1m25s``; below a minute one decimal: ``4.2s``."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m{rest:02d}s" if hours else f"{minutes}m{rest:02d}s"


def show_quantity(value: float, unit: str) -> str:
    """Three significant digits with a decimal prefix: ``7.29e14, FLOP/s`` -> ``729 TFLOP/s``."""
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor:
            return f"{_three_digits(value / factor)} {prefix}{unit}"
    return f"{_three_digits(value)} {unit}"


def _three_digits(value: float) -> str:
    size = abs(value)
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2
    return f"{value:.{decimals}f}"
