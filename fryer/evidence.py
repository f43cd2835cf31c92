"""All that is known of a node when it is judged: what was measured, beside what was read while measuring.

The shell (`fryer.runner`, `fryer.telemetry`) builds one `NodeEvidence`; `fryer.verdict` judges it without reading
anything else, so a stored one can be judged again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fryer.records import Counted, Mismatch, Point, Problem, ProductDigest
from watchdog.collectors.readings import GpuReading, HostReading, ReaderGap, XidEvent
from watchdog.vocabulary.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """Who a device is. `uuid` and `serial` outlive its index, so history is kept by them."""

    name: str
    """``gpu0``, ``cpu0``: its name in this run."""
    kind: str
    """``cuda``, ``cpu`` or ``simulated``."""
    part: str
    """Product name as the driver or the kernel gives it: ``NVIDIA H100 80GB HBM3``."""
    uuid: str
    serial: str | None = None
    pci_bus_id: str | None = None
    """``0000:1b:00.0``, lower case."""
    vbios: str | None = None
    driver: str | None = None
    memory_bytes: int | None = None
    cores: int | None = None
    """Physical cores, for a CPU device."""
    num_processors: int | None = None
    """Logical processors that the run may use on it: as many threads share each product."""
    isa: str | None = None
    """Widest instructions of a CPU device, a word of `fryer.ceiling.FLOPS_PER_CYCLE`: ``avx512_bf16``."""
    clock_max_hertz: float | None = None
    link_bytes_per_second: float | None = None
    """Theoretical rate one way of the slowest PCIe link on the path to the root; None when unknown."""
    link: str | None = None
    """That link in words: ``PCIe 4.0 x8 at 0000:16:01.0``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One figure of one burn on one device: the series, and its steady state."""

    device: str
    burn: str
    case: str
    metric: str
    value: float
    """Median over the steady part of the series (over all of it when it never became steady)."""
    spread_ratio: float
    """Median absolute deviation of that part, over `value`."""
    steady_from_seconds: float | None
    """Where the steady part begins, on the run's clock; None when the series never became steady."""
    digest: str | None
    """Of gemm only: digest of its first product; equal seeds give equal ones on every device of a part."""
    series: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastMeasurement:
    """A figure from the store: this device's last qualification, or another device of the same part."""

    uuid: str
    node: str
    part: str
    burn: str
    case: str
    metric: str
    value: float
    at: str
    """ISO 8601, UTC."""
    run_id: str
    digest: str | None = None
    """Of gemm only: digest of its first product, see `Measurement.digest`."""
    seed: int | None = None
    """Seed of its run."""
    software: str | None = None
    """What summed it, `fryer.vote.software_of`; another may sum in another order."""
    is_steady: bool = True
    """False: the series never became steady or was too short to tell, so that `value` is no yardstick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEvidence:
    """Everything the verdict on one node is drawn from."""

    node: str
    devices: tuple[DeviceInfo, ...]
    versions: Mapping[str, str]
    """``fryer torch cuda python kernel driver``."""
    measurements: tuple[Measurement, ...] = ()
    digests: tuple[ProductDigest, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()
    problems: tuple[Problem, ...] = ()
    counted: tuple[Counted, ...] = ()
    gpu_readings: Mapping[str, tuple[GpuReading, ...]] = field(default_factory=dict)
    """By device name, in order of time."""
    host_readings: tuple[HostReading, ...] = ()
    gaps: tuple[ReaderGap, ...] = ()
    """When the reader did not answer, and for how long."""
    xids: tuple[XidEvent, ...] = ()
    own_past: tuple[PastMeasurement, ...] = ()
    """The last qualification of each of these devices, by UUID."""
    fleet_past: tuple[PastMeasurement, ...] = ()
    """The newest qualification of every other device of the same parts."""
    interrupted: str | None = None
    """Why the run ended early: ``Ctrl-C``, ``SIGTERM``; None when it ran to its end."""
    repeat: Mapping[str, str] = field(default_factory=dict)
    """By burn: the command that repeats it."""
    expected_gpus: int | None = None
    """GPUs on the PCI bus, or as many as were asked for; None when neither is known."""
    missing_past: tuple[str, ...] = ()
    """UUIDs of this node's last qualification that are not here now."""
    seed: int | None = None
    """Of the run: with equal seeds and software every device of a part computes equal digests."""
    gpu_processes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By device name: other processes seen on the GPU at the start or during the run, ``pid name bytes``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that was concluded of a device, with what shows it."""

    code: str
    """A word for scripts: ``below_floor``, ``digest_minority``, ``thermal_throttle``, ``xid`` ..."""
    verdict: Verdict
    message: str
    """One sentence with the figures."""
    evidence: Mapping[str, object]
    """The figures behind it, JSON-ready."""
    remedy: str = ""
    """What to do."""
    repeat: str = ""
    """The command that repeats it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceVerdict:
    """The verdict on one device."""

    device: str
    verdict: Verdict
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeVerdict:
    """The verdict on a node: the gravest of its devices and of what concerns the node as a whole."""

    node: str
    verdict: Verdict
    devices: tuple[DeviceVerdict, ...]
    reasons: tuple[Reason, ...]
    """What concerns the node and no single device."""
