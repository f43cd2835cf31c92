"""A GPU that is lost, no longer read while its neighbours are, or not there though the node should have it.

How many it should have is the fact `EXPECTED` of the node; without it, as many as its PCI bus shows: one that the
driver could not initialise is on the bus, and NVML does not show it.

Silence of all GPUs at once blames none: that is UNKNOWN, here and in `nvml_unresponsive`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from watchdog.detectors.held import held
from watchdog.detectors.reading import Thresholds, each, label, number
from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.samples import Window
from watchdog.vocabulary.subjects import Subject

CODES = ("gpu_lost", "gpu_missing", "gpus_not_read")
READ = ("nvml_silent_seconds", "lost", "power_watts")
"""In rows of NVML's reader, or of DCGM where that is the primary source, and in no others: a GPU that only the bus
still shows is not read."""
EXPECTED = "expected_gpus"
"""Fact of the node: how many GPUs it must have; 0 or absent: as many as its PCI bus shows."""
ON_BUS = "gpus_on_bus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits(Thresholds):
    """Thresholds."""

    unread_seconds: float = 30.0
    """Not read for so long while others were: 30 looks (ours; NVSentinel calls a device gone after 3 polls)."""
    seen_seconds: float = 10.0
    """The others were read for so long before a GPU that nobody has seen counts as missing (ours)."""


def detect(window: Window, limits: Limits) -> Sequence[Finding]:
    """FAIL for a lost or missing GPU; UNKNOWN where none of the node's GPUs is read at all."""
    read = _read(window)
    lost = list(_lost(window))
    gone = {finding.subject for finding in lost}
    nodes = {subject.node for subject in read}
    nodes |= {subject.node for subject in window.facts if subject.kind == "gpu" or number(window, subject, EXPECTED)}
    nodes |= {subject.node for subject, on_bus in window.newest(ON_BUS).items() if on_bus}
    more = [finding for node in sorted(nodes) for finding in _of_node(window, limits, node, read)]
    return [*lost, *(finding for finding in more if finding.subject not in gone)]


def _read(window: Window) -> dict[Subject, tuple[float, float]]:
    """First and last word of NVML's reader about each GPU."""
    read: dict[Subject, tuple[float, float]] = {}
    for metric in READ:
        for subject, series in window.series(metric).items():
            if subject.kind == "gpu":
                first, last = read.get(subject, (series.at[0], series.at[-1]))
                read[subject] = (min(first, series.at[0]), max(last, series.at[-1]))
    return read


def _lost(window: Window) -> Iterator[Finding]:
    for subject, series in each(window, "lost"):
        state = held(series, lambda value: value > 0)
        if state is not None:
            yield Finding(
                source="gpu_missing",
                subject=subject,
                severity=Severity.FAIL,
                code="gpu_lost",
                message=f"{label(window, subject)} is lost: NVML answers GPU_IS_LOST or RESET_REQUIRED",
                action="reboot_node",
                since=state.since,
                evidence={"lost": series.newest, "seconds": state.seconds},
            )


def _of_node(window: Window, limits: Limits, node: str, read: dict[Subject, tuple[float, float]]) -> Iterator[Finding]:
    known = sorted({s for s in (*read, *window.facts) if s.kind == "gpu" and s.node == node})
    expected = max(_must_have(window, node), len(known))
    fresh = [s for s in known if s in read and window.now - read[s][1] <= limits.unread_seconds]
    if not fresh:
        yield _none_read(window, node, expected, read)
        return
    watched = max(read[s][1] - read[s][0] for s in fresh)
    if watched < limits.seen_seconds:
        return
    yield from (_unread(window, s, read.get(s), len(fresh)) for s in known if s not in fresh)
    if len(known) < expected:
        yield Finding(
            source="gpu_missing",
            subject=Subject(node),
            severity=Severity.FAIL,
            code="gpu_missing",
            message=f"{node} has {len(known)} GPUs and must have {expected}{_of_bus(window, node)}",
            action="reboot_node",
            since=min(read[s][0] for s in fresh),
            evidence={
                "num_gpus": len(known),
                "expected_gpus": expected,
                "gpus_on_bus": _on_bus(window, node),
                "uuids": [s.name for s in known],
            },
        )


def _must_have(window: Window, node: str) -> int:
    """The owner's number goes before the bus': a GPU may be on the bus and given to a virtual machine."""
    return int(number(window, Subject(node), EXPECTED) or 0) or _on_bus(window, node) or 0


def _on_bus(window: Window, node: str) -> int | None:
    series = window.series(ON_BUS).get(Subject(node))
    return int(series.newest) if series else None


def _of_bus(window: Window, node: str) -> str:
    """Whether the missing ones are out of the driver's reach only, or off the bus."""
    on_bus = _on_bus(window, node)
    return "" if on_bus is None else f"; its PCI bus shows {on_bus}"


def _unread(window: Window, subject: Subject, seen: tuple[float, float] | None, num_fresh: int) -> Finding:
    when = f"since {window.now - seen[1]:.0f} s" if seen else "in all of this window"
    return Finding(
        source="gpu_missing",
        subject=subject,
        severity=Severity.FAIL,
        code="gpu_missing",
        message=f"{label(window, subject)} gave no reading {when}, while {num_fresh} others did",
        action="reboot_node",
        since=seen[1] if seen else window.now,
        evidence={"last_read_at": seen[1] if seen else None, "num_read": num_fresh},
    )


def _none_read(window: Window, node: str, expected: int, read: dict[Subject, tuple[float, float]]) -> Finding:
    last = max((seen[1] for subject, seen in read.items() if subject.node == node), default=None)
    return Finding(
        source="gpu_missing",
        subject=Subject(node),
        severity=Severity.UNKNOWN,
        code="gpus_not_read",
        message=f"none of the {expected} GPUs of {node} is read; how they are is not known",
        action="inspect",
        since=window.now if last is None else last,
        evidence={"expected_gpus": expected, "last_read_at": last},
    )
