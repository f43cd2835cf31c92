"""Pure judges, one failure mode a file: no clock, no I/O, no log, no memory between calls.

To add one: write `watchdog/detectors/NAME.py` with `Limits` and `detect`, list it in `DETECTORS`, add its test and its
row in docs/detectors.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from watchdog.vocabulary.findings import Finding
from watchdog.vocabulary.samples import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A judge of one failure mode."""

    summary: str
    """One line: what it finds."""
    limits: type[Any]
    """Frozen dataclass of thresholds, filled from `[watchdog.detectors.NAME]` of the settings."""
    detect: Callable[[Window, Any], Sequence[Finding]]
    """(window, limits) -> what is wrong, or not known, at `window.now`; nothing where all is well."""


DETECTORS: Mapping[str, Detector] = MappingProxyType({})
"""Every detector by name."""
