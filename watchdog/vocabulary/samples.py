"""What was read, and what happened: the input of every detector. Times are Unix seconds.

A reading that failed is absent, never 0. Detectors get a `Window`: readings, events, and the time they are to take as
now. They read no clock, so a stored window replays.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from watchdog.vocabulary.subjects import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """All that one collector read of one subject at one moment: a wide row, as it is stored."""

    subject: Subject
    at: float
    values: Mapping[str, float]
    """By metric, base units in the name: ``temperature_celsius``. What could not be read is absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened once: an Xid, an out-of-memory kill, a link that went down, a checkpoint."""

    kind: str
    """``xid sxid aer mce edac oom nvme mlx5 nvrm hung_task lockup filesystem io_error recovery checkpoint ...``;
    ``boot gpu_reset``: a repair was done."""
    subject: Subject
    at: float
    code: int | None = None
    """Number of the Xid or SXid."""
    severity: str = "info"
    """``info warning critical fatal``, as the catalogue or the line says."""
    action: str = "none"
    """The catalogue's word: ``none restart_app reset_gpu reboot_node drain_reset contact_support inspect ...``"""
    message: str = ""
    line: str = ""
    """The kernel's own line, where there is one."""
    data: Mapping[str, object] = field(default_factory=dict)
    """JSON-ready details: pid, process, link, previous Xid, recovery action from and to, source sequence number."""


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one subject, in order of time."""

    at: Sequence[float]
    values: Sequence[float]

    def since(self, at: float) -> "Series":
        """The part not older than `at`."""
        first = bisect_left(self.at, at)
        return Series(self.at[first:], self.values[first:])

    @property
    def newest(self) -> float:
        """The last value; a series is never empty."""
        return self.values[-1]

    @property
    def increase(self) -> float:
        """How much a counter grew; a reset counts from zero (as Prometheus' increase, without extrapolation)."""
        pairs = zip(self.values, self.values[1:], strict=False)
        return sum(later - earlier if later >= earlier else later for earlier, later in pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What detectors judge. Made by `window_of`, or by the daemon from buffers that it keeps."""

    now: float
    columns: Mapping[str, Mapping[Subject, Series]] = field(default_factory=dict)
    """By metric and subject; no series is empty."""
    events: Sequence[Event] = ()
    """In order of time."""
    facts: Mapping[Subject, Mapping[str, object]] = field(default_factory=dict)
    """What does not change from tick to tick: a GPU's index, part, PCI address, most PCIe width and generation, limits
    of temperature and power, its own burn-in baseline; a collector's period; a run's median step time."""

    def series(self, metric: str) -> Mapping[Subject, Series]:
        """The metric of every subject that has it."""
        return self.columns.get(metric, {})

    def newest(self, metric: str) -> dict[Subject, float]:
        """The last value of the metric of every subject that has it."""
        return {subject: series.newest for subject, series in self.series(metric).items()}


def window_of(
    now: float,
    rows: Iterable[Row],
    events: Sequence[Event] = (),
    facts: Mapping[Subject, Mapping[str, object]] | None = None,
) -> Window:
    """A window over `rows`, which are in order of time: for replays, one-shot scans and tests."""
    columns: dict[str, dict[Subject, tuple[list[float], list[float]]]] = {}
    for row in rows:
        for metric, value in row.values.items():
            times, values = columns.setdefault(metric, {}).setdefault(row.subject, ([], []))
            times.append(row.at)
            values.append(value)
    return Window(
        now=now,
        columns={
            metric: {subject: Series(tuple(times), tuple(values)) for subject, (times, values) in series.items()}
            for metric, series in columns.items()
        },
        events=events,
        facts=facts or {},
    )
