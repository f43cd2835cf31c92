"""What the daemon knows, as one immutable value: made anew at each change, read by API, exporter and status."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from watchdog.vocabulary.findings import Finding, Severity
from watchdog.vocabulary.incidents import Incident
from watchdog.vocabulary.samples import Row
from watchdog.vocabulary.signals import Signal
from watchdog.vocabulary.subjects import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorState:
    """How a collector is doing."""

    name: str
    period_seconds: float
    is_missing: bool = False
    """This machine has no such source."""
    last_success_at: float | None = None
    last_error: str = ""
    """Empty when the last call succeeded."""
    duration_seconds: float | None = None
    """Of the last call."""
    num_calls: int = 0
    num_failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """A training run on this node, as its ranks last said."""

    run: str
    stage: str = ""
    world_size: int = 0
    ranks: tuple[int, ...] = ()
    """Ranks of this node."""
    begun_at: float = 0.0
    step: int | None = None
    step_at: float | None = None
    """When the last step was reported."""
    values: Mapping[str, float] = field(default_factory=dict)
    """``loss grad_norm lr tokens_per_second step_seconds`` of the newest step."""
    checkpoints: tuple[Mapping[str, object], ...] = ()
    """Newest last; bounded."""
    ended_at: float | None = None
    end_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that is published."""

    node: str
    at: float
    """When it was made, Unix seconds."""
    started_at: float
    version: str
    severity: Severity
    """The gravest finding; UNKNOWN before the first look."""
    findings: tuple[Finding, ...] = ()
    incidents: tuple[Incident, ...] = ()
    """Open ones, and those closed within a day; newest first."""
    signal: Signal | None = None
    rows: Mapping[Subject, Row] = field(default_factory=dict)
    """The newest row of every subject, merged over its collectors."""
    facts: Mapping[Subject, Mapping[str, object]] = field(default_factory=dict)
    collectors: tuple[CollectorState, ...] = ()
    runs: tuple[RunState, ...] = ()
    xid_counts: Mapping[tuple[str, int], tuple[int, float]] = field(default_factory=dict)
    """By (GPU's UUID or PCI address, code): how many since the store began, and when the last one came."""
    sxid_counts: Mapping[tuple[str, int], tuple[int, float]] = field(default_factory=dict)
    """By (PCI address of the switch, code)."""
    counters: Mapping[str, float] = field(default_factory=dict)
    """Of the daemon itself: ``kmsg_lost_records_total nvml_restarts_total store_commits_total store_errors_total
    signals_total.ACTION api_rejected_total ...``."""
