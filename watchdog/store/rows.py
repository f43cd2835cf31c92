"""What goes into the store and comes out of it. Frozen, and free of the library that keeps it.

The store does not know burns or reasons: what it only keeps and never searches is JSON (`Json`) to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from watchdog.vocabulary.verdicts import Verdict

Json = Mapping[str, object]
"""An object that `json.dumps` takes, with string keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Many rows of one kind, by column: readings of a GPU or the host, digests of products."""

    source: str
    """What the rows are, as whoever keeps them calls it: ``gpu_readings``, ``digests``."""
    device: str
    """Device in this run; empty where the rows concern the node."""
    columns: Mapping[str, Sequence[object]]
    """Columns of equal length, of numbers, strings, booleans and None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMeasurement:
    """One figure of one burn on one device, with its series."""

    device: str
    burn: str
    case: str
    metric: str
    value: float
    spread_ratio: float
    steady_from_seconds: float | None
    digest: str | None
    more: Json
    """What else there is to say of it, that is never searched."""
    points: tuple[tuple[float, float], ...]
    """(seconds on the run's clock, value)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDevice:
    """Who a device was in a run, and the verdict on it."""

    name: str
    kind: str
    """``cuda``, ``cpu`` or ``simulated``."""
    part: str
    uuid: str
    serial: str | None
    pci_bus_id: str | None
    vbios: str | None
    driver: str | None
    memory_bytes: int | None
    cores: int | None
    clock_max_hertz: float | None
    link_bytes_per_second: float | None
    link: str | None
    more: Json
    """What else there is to say of it, that is never searched."""
    verdict: Verdict
    reasons: tuple[Json, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNode:
    """What was found on one node of a run."""

    node: str
    verdict: Verdict
    interrupted: str | None
    versions: Mapping[str, str]
    reasons: tuple[Json, ...]
    findings: Json
    """Mismatches, problems and whatever else the verdict was drawn from."""
    devices: tuple[StoredDevice, ...]
    measurements: tuple[StoredMeasurement, ...]
    """Each of a device in `devices`."""
    recordings: tuple[Recording, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A whole run."""

    run_id: str
    started_at: str
    """ISO 8601; UTC where it names no zone."""
    command: str
    seconds: float
    verdict: Verdict
    plan: Json
    fryer_version: str
    nodes: tuple[StoredNode, ...] = field(default=())
    more: Json = field(default_factory=dict)
    """What it found of no single node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run in a list of runs."""

    run_id: str
    started_at: str
    command: str
    seconds: float
    verdict: Verdict
    nodes: tuple[str, ...]
    num_devices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """A figure beside the last one that the same device gave before, in a run in which it ended PASS or WARN."""

    device: str
    burn: str
    case: str
    metric: str
    value: float
    previous_value: float
    previous_run_id: str

    @property
    def change_ratio(self) -> float:
        """``-0.03``: 3 % lower."""
        return self.value / self.previous_value - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a node of a run fared, and how the last time before."""

    node: str
    verdict: Verdict
    previous_verdict: Verdict | None
    """None: it was in no earlier run."""
    previous_run_id: str | None
    worst: Fall | None
    """That of its steady figures which fell most, or rose least; None where none has an earlier one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measurement among those of other runs: what was measured, on which device, and how that device fared."""

    run_id: str
    started_at: str
    started_epoch_seconds: float
    """The same instant since 1970, for ordering."""
    node: str
    device: str
    kind: str
    part: str
    uuid: str
    serial: str | None
    burn: str
    case: str
    metric: str
    value: float
    spread_ratio: float
    digest: str | None
    verdict: Verdict
    """Of the device, in that run."""
    is_steady: bool = True
    """False: its series never became steady, or was too short to tell."""
    seed: int | None = None
    """Of the run; None where its plan names none."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the node's software in that run."""
