"""What `dcgmi health -c -j` and `dcgmi discovery -l` printed, DCGM 3 and 4. Pure. A cut off report is no health."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from watchdog.vocabulary.errors import SourceFailed, SourceMissing

LEVELS: Mapping[str, int] = MappingProxyType({"Healthy": 0, "Warning": 1, "Failure": 2})
"""As dcgmi writes them (`HelperHealthToString` of its Health.cpp)."""
_OVERALL = "Overall Health"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Incident:
    """What one watch of one part found."""

    group: str
    """``GPU``, ``Switch`` ..."""
    id: int
    system: str
    """``PCIe system``, ``NVLINK system`` ..."""
    level: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The whole report."""

    level: int
    """Of the whole: 0 healthy, 1 warning, 2 failure."""
    levels: Mapping[tuple[str, int], int]
    """Of each part that is not healthy, by group and id."""
    incidents: tuple[Incident, ...]


def parse_health(text: str) -> Health:
    """Read a report. Raises `SourceMissing` where nobody set watches, `SourceFailed` for anything else but a report."""
    if "Health watches not enabled" in text:
        raise SourceMissing("dcgmi: no health watches are set; `dcgmi health -s a` sets them")
    try:
        document, end = json.JSONDecoder().raw_decode(text, text.index("{"))
        if text[end:].strip():
            raise ValueError(f"{text[end:].strip()[:60]!r} stands behind it")
        body = document["body"]
        overall = LEVELS[body[_OVERALL]["value"]]
        parts = list(_parts(body))
        levels = {(group, number): LEVELS[part["value"]] for group, number, part in parts}
        incidents = tuple(sorted(one for group, number, part in parts for one in _incidents(group, number, part)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = " ".join(text.split())[:160] or "nothing"
        raise SourceFailed(f"dcgmi health printed no report ({error!s:.80}), but {said}") from error
    return Health(level=max([overall, *levels.values()]), levels=levels, incidents=incidents)


def _parts(body: Mapping[str, Any]) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    for group, found in body.items():
        if group != _OVERALL:
            for number, part in found["children"].items():
                yield group, int(number), part


def _incidents(group: str, number: int, part: Mapping[str, Any]) -> Iterator[Incident]:
    """The long text of an error is broken into pieces where a table has its edge: they are put together again."""
    for system, error in part["children"]["Errors"]["children"].items():
        message = " ".join(str(piece).strip() for piece in error.get("overflow", ()))
        yield Incident(group=group, id=number, system=system, level=LEVELS[error["value"]], message=message)


def parse_discovery(text: str) -> dict[int, str]:
    """UUID by GPU id, of the table that `dcgmi discovery -l` prints; empty where there is none."""
    found: dict[int, str] = {}
    gpu: int | None = None
    for line in text.splitlines():
        begin = re.match(r"\|\s*(\d+)\s*\|\s*Name:", line)
        uuid = re.search(r"Device UUID:\s*(GPU-[0-9a-fA-F-]+)", line)
        if begin:
            gpu = int(begin[1])
        elif uuid and gpu is not None:
            found[gpu] = uuid[1]
            gpu = None
        elif line.startswith("+"):
            gpu = None
    return found
