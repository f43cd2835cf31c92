"""Takes a kernel log line apart into its stamp and the kernel's own text. Pure; it does not look at what the text says.

Styles: ``/dev/kmsg`` records, ``dmesg`` plain, ``-T``, ``-e``, ``-x``, ``--time-format iso``, with the caller's thread,
``<prio>``, syslog (RFC 3164 and 5424 stamps), ``journalctl -k``, and none at all. Each pattern is anchored and has no
nested repetition, so a line costs time in proportion to its length, which is cut.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

MAX_LINE_CHARACTERS = 4096
"""A record of the kernel has at most 2,048 bytes of text (PRINTK_MESSAGE_MAX); what is longer is no kernel line."""

_RECORD = re.compile(r"(\d{1,4}),(\d{1,20}),(\d{1,20}),[^;]{0,64};")
_LEVEL = re.compile(r"[a-z]{3,8} {0,3}:[a-z]{3,7} {0,3}: ")
_PRIORITY = re.compile(r"<\d{1,3}>")
_ISO = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)? ")
_SYSLOG = re.compile(r"([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) ")
_KERNEL_TAG = re.compile(r"(?:\S{1,255} )?kernel: {0,3}")
_DATE = re.compile(r"\[[A-Z][a-z]{2} ([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})\] ?")
_SHORT_DATE = re.compile(r"\[[A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d\] ?")
_SECONDS = re.compile(r"\[ {0,12}(\+?)(\d{1,12}\.\d{1,9})\] ?")
_CALLER = re.compile(r"\[ {0,12}[TC]\d{1,10}\] ?")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelLine:
    """One line, taken apart."""

    text: str
    """What the kernel said, without its stamp; cut at `MAX_LINE_CHARACTERS`."""
    sequence: int | None = None
    """Number of the record in the kernel's ring."""
    boot_seconds: float | None = None
    """Seconds since the machine started."""
    delta_seconds: float | None = None
    """Seconds since the line before (``dmesg -e``)."""
    wall_seconds: float | None = None
    """Unix seconds; a stamp without a zone is taken as UTC."""
    year_is_missing: bool = False
    """`wall_seconds` is of the year 1972: the stamp says no year."""


def take_apart(line: str) -> KernelLine:
    """Split `line` into stamp and text. Never raises: a line of no known style is all text."""
    rest = line[:MAX_LINE_CHARACTERS].rstrip("\r\n")
    record = _RECORD.match(rest)
    if record is not None:
        return KernelLine(text=rest[record.end() :], sequence=int(record[2]), boot_seconds=int(record[3]) / 1e6)
    rest = _drop(_LEVEL, _drop(_PRIORITY, rest))
    rest, wall, year_is_missing = _take_wall(rest)
    rest = _drop(_KERNEL_TAG, rest)
    stamp = _SECONDS.match(rest)
    if stamp is not None:
        rest = rest[stamp.end() :]
    rest = _drop(_CALLER, rest)
    seconds = float(stamp[2]) if stamp is not None else None
    is_delta = stamp is not None and stamp[1] == "+"
    return KernelLine(
        text=rest,
        boot_seconds=None if is_delta else seconds,
        delta_seconds=seconds if is_delta else None,
        wall_seconds=wall,
        year_is_missing=year_is_missing,
    )


def with_year(wall_seconds: float, before: float) -> float:
    """Give a stamp of the year 1972 the latest year in which it is not more than a day after `before`."""
    moment = datetime.fromtimestamp(wall_seconds, UTC)
    newest = datetime.fromtimestamp(before, UTC).year
    for year in range(newest, newest - 8, -1):
        try:
            dated = moment.replace(year=year).timestamp()
        except ValueError:  # 29 February in a year that has none
            continue
        if dated <= before + 86400:
            return dated
    return wall_seconds


def _drop(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.match(text)
    return text if found is None else text[found.end() :]


def _take_wall(text: str) -> tuple[str, float | None, bool]:
    """(rest, Unix seconds, whether the year is missing)."""
    if found := _ISO.match(text):
        return text[found.end() :], _iso(found), False
    if found := _SYSLOG.match(text):
        return text[found.end() :], _parse(f"1972 {found[1]}", "%Y %b %d %H:%M:%S"), True
    if found := _DATE.match(text):
        return text[found.end() :], _parse(found[1], "%b %d %H:%M:%S %Y"), False
    return _drop(_SHORT_DATE, text), None, False


def _iso(found: re.Match[str]) -> float | None:
    zone = (found[3] or "Z").replace(":", "")
    whole = _parse(found[1] + zone.replace("Z", "+0000"), "%Y-%m-%dT%H:%M:%S%z")
    return None if whole is None else whole + float(f"0.{found[2] or 0}")


def _parse(text: str, style: str) -> float | None:
    try:
        moment = datetime.strptime(text, style)
    except ValueError:  # it looks like a date and is none, as 31 February
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
