"""A PCIe link of fewer lanes or a lower generation than GPU and slot can both do, read under load.

A link at rest lowers its generation to save power, so only a loaded GPU's counts. Slower than the node's other GPUs of
the part is a fault; all of them slower than they can be may be how the platform was set up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from watchdog.detectors.held import held
from watchdog.detectors.reading import Thresholds, label, neighbours, number
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Window
from watchdog.vocabulary.subjects import Subject

CODES = ("pcie_narrow",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    loaded_ratio: float = 0.5
    """Utilisation from which a link runs at full speed (ours)."""
    loaded_seconds: float = 60.0
    """Loaded without a break for so long, and never at full speed in it (ours: retraining takes milliseconds)."""


@dataclass(frozen=True, slots=True)
class _Link:
    generation: float
    width: float

    @property
    def rate(self) -> float:
        """Relative speed: each generation doubles the last."""
        return float(2**self.generation * self.width)

    def __str__(self) -> str:
        return f"Gen{self.generation:.0f} x{self.width:.0f}"


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """FAIL below the node's other GPUs of the part, WARN where none of them is faster or known."""
    links = {
        subject: link for subject in sorted(window.series("pcie_width")) if (link := _loaded(window, limits, subject))
    }
    return [finding for subject, link in links.items() if (finding := _judge(window, limits, subject, link, links))]


def _judge(
    window: Window, limits: Limits, subject: Subject, link: _Link, links: dict[Subject, _Link]
) -> Finding | None:
    able = _able(window, subject)
    peers = [links[other] for other in neighbours(window, subject) if other in links]
    best = max(peers, key=lambda peer: peer.rate, default=link)
    is_alone = link.rate < best.rate
    expected = max((able, best), key=lambda one: one.rate) if able else best
    if link.rate >= expected.rate:
        return None
    return Finding(
        source="pcie_width",
        subject=subject,
        severity=Severity.FAIL if is_alone else Severity.WARN,
        code="pcie_narrow",
        message=f"the PCIe link of {label(window, subject)} runs at {link} under load and can do {expected}; "
        + (f"its neighbours run at {best}" if is_alone else "none of its neighbours is faster"),
        action="inspect",
        since=window.now - limits.loaded_seconds,
        evidence={
            "generation": link.generation,
            "width": link.width,
            "expected_generation": expected.generation,
            "expected_width": expected.width,
            "num_neighbours": len(peers),
        },
    )


def _able(window: Window, subject: Subject) -> _Link | None:
    generation = number(window, subject, "pcie_generation_max")
    width = number(window, subject, "pcie_width_max")
    return None if generation is None or width is None else _Link(generation, width)


def _loaded(window: Window, limits: Limits, subject: Subject) -> _Link | None:
    """The best that the link did while the GPU was loaded; None for one that was not, for long enough."""
    load = window.series("utilization_ratio").get(subject)
    generations = window.series("pcie_generation").get(subject)
    if load is None or generations is None or load.newest < limits.loaded_ratio:
        return None
    state = held(load.since(window.now - 2 * limits.loaded_seconds), lambda value: value >= limits.loaded_ratio)
    if state is None or state.seconds < limits.loaded_seconds:
        return None
    begin = window.now - limits.loaded_seconds
    seen = [series.since(begin).values for series in (generations, window.series("pcie_width")[subject])]
    return _Link(max(seen[0]), max(seen[1])) if min(len(one) for one in seen) > 1 else None
