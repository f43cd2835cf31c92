"""Which readings are still worth showing: a value that nobody has read for a while is absent, not frozen."""

from collections.abc import Iterator

from watchdog.state import State
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.subjects import Kind

READERS: dict[str, tuple[str, ...]] = {
    "gpu": ("nvml", "dcgm", "dcgmi", "pcie"),
    "nic": ("infiniband", "pcie"),
    "disk": ("storage", "pcie"),
    "switch": ("pcie",),
    "node": ("host", "clock", "nvml", "pcie", "infiniband", "dcgmi"),
}
"""Kinds of subjects, and the collectors that read them; the first is the one without which nothing is known."""

_SHORTEST_SECONDS = 60.0
"""A reading never counts as old before this: two scrapes at the usual 30 s see it."""
_PERIODS = 3
"""Three calls in a row that brought nothing: not a hiccup."""


def fresh_rows(state: State, kind: Kind) -> Iterator[Row]:
    """Rows about subjects of `kind` that are not older than three periods of their slowest reader, or a minute."""
    readers = READERS.get(kind, ())
    periods = [one.period_seconds for one in state.collectors if one.name in readers and not one.is_missing]
    oldest = state.at - max(_SHORTEST_SECONDS, _PERIODS * max(periods, default=0.0))
    for subject, row in state.rows.items():
        if subject.kind == kind and row.at >= oldest:
            yield row
