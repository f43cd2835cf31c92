"""Takes Prometheus' text format apart (prometheus.io, "Exposition formats", version 0.0.4). Pure; knows no metric."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from watchdog.vocabulary.errors import SourceFailed

_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+(-?\d+))?")
_LABEL = re.compile(r'[ \t]*([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"[ \t]*(,|$)')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One line. The value may be NaN or infinite."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples(text: str) -> Iterator[Sample]:
    """Every sample in order; raises `SourceFailed` for a line that is none, and for a last line that was cut off."""
    if text and not text.endswith("\n"):
        raise SourceFailed(f"metrics: the text ends in the middle of a line: {text[-80:]!r}")
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _SAMPLE.fullmatch(line.strip())
        try:
            if found is None:
                raise ValueError("no sample")
            yield Sample(found[1], _labels(found[2] or ""), float(found[3]))
        except ValueError as error:
            raise SourceFailed(f"metrics: line {number} is not Prometheus text ({error}): {line[:120]!r}") from error


def _labels(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        label = _LABEL.match(text, at)
        if label is None:
            raise ValueError("labels")
        found[label[1]] = re.sub(r"\\.", lambda escape: _ESCAPES.get(escape[0], escape[0]), label[2])
        at = label.end()
    return found
