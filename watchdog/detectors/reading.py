"""What detectors ask of a window: subjects in order, facts as numbers, a GPU's neighbours. It judges nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from math import isfinite

from watchdog.vocabulary.samples import Event, Series, Window
from watchdog.vocabulary.subjects import Subject


class Thresholds:
    """Every `Limits` checks itself: a NaN would switch its rule off, since no value is above it."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Raise ValueError, which names the field."""
        for member in fields(self):  # type: ignore[arg-type]
            value = getattr(self, member.name)
            if isinstance(value, float) and not isfinite(value):
                raise ValueError(f"{member.name} is {value}; it must be a finite number")


def each(window: Window, metric: str) -> Iterator[tuple[Subject, Series]]:
    """The metric of every subject, in the order of subjects: findings don't depend on who was read first."""
    found = window.series(metric)
    for subject in sorted(found):
        yield subject, found[subject]


def number(window: Window, subject: Subject, fact: str) -> float | None:
    """A fact of the subject, where it is a finite number."""
    value = window.facts.get(subject, {}).get(fact)
    return float(value) if isinstance(value, int | float) and isfinite(value) else None


def count_of(event: Event) -> int:
    """How many equal lines an event stands for: a reader may have put a storm into one."""
    count = event.data.get("count", 1)
    return count if isinstance(count, int) else 1


def last_at(events: Sequence[Event]) -> float:
    """When the last line was printed."""
    return max(float(last) if isinstance(last := e.data.get("last_at"), int | float) else e.at for e in events)


def label(window: Window, subject: Subject) -> str:
    """What people call it: ``gpu3``; else its own name (``mlx5_0:1``, ``/data``), and for a node the node's."""
    if subject.kind != "gpu":
        return subject.name or subject.node
    index = number(window, subject, "index")
    return subject.name if index is None else f"gpu{index:.0f}"


def neighbours(window: Window, subject: Subject) -> list[Subject]:
    """The node's other GPUs of the same part; none where the part is not known."""
    part = window.facts.get(subject, {}).get("part")
    return sorted(
        other
        for other, facts in window.facts.items()
        if part is not None
        and other != subject
        and other.kind == "gpu"
        and other.node == subject.node
        and facts.get("part") == part
    )
