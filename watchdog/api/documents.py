"""What goes out: one pydantic model per document and part, filled from the dataclasses attribute by attribute.

Every document has `type`, `schema` and `version`. Keys and types may be added within a version; none is renamed,
removed or given another meaning. NaN and infinities are the strings ``NaN Infinity -Infinity``.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from watchdog.vocabulary.incidents import IncidentState
from watchdog.vocabulary.signals import Action

SCHEMA: Literal["fryer/watch"] = "fryer/watch"
VERSION: Literal[1] = 1

SubjectText = Annotated[str, BeforeValidator(str)]
SeverityWord = Literal["OK", "UNKNOWN", "WARN", "FAIL"]
SeverityName = Annotated[SeverityWord, BeforeValidator(lambda severity: getattr(severity, "name", severity))]
Number = Annotated[
    float, WithJsonSchema({"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"], "type": "string"}]})
]
Json = Mapping[str, Any]


class Part(BaseModel):
    """Mirrors a dataclass of the daemon, field by field."""

    model_config = ConfigDict(
        from_attributes=True, frozen=True, ser_json_inf_nan="strings", use_attribute_docstrings=True
    )


class Document(Part):
    """What one request is answered with."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)
    schema_: Literal["fryer/watch"] = Field(default=SCHEMA, alias="schema")
    version: Literal[1] = VERSION


def render(document: Document) -> bytes:
    """The document as UTF-8 JSON. Evidence that JSON does not know is written as its text."""
    return document.model_dump_json(by_alias=True, fallback=str).encode()


class FindingPart(Part):
    """`watchdog.vocabulary.findings.Finding`."""

    source: str
    subject: SubjectText
    severity: SeverityName
    code: str
    message: str
    action: str
    since: Number
    evidence: Json


class IncidentPart(Part):
    """`watchdog.vocabulary.incidents.Incident`."""

    id: str
    node: str
    opened_at: Number
    updated_at: Number
    state: IncidentState
    severity: SeverityName
    root: SubjectText
    root_code: str
    title: str
    action: str
    victims: tuple[SubjectText, ...]
    count: int
    codes: tuple[str, ...]
    repeats: int
    previous: str | None
    acted_at: Number | None
    verified_at: Number | None
    closed_at: Number | None
    closed_because: str
    cost: Mapping[str, Number]
    evidence: tuple[Json, ...]


class SignalPart(Part):
    """`watchdog.vocabulary.signals.Signal`."""

    id: str
    action: Action
    reason: str
    confidence: Number
    created_at: Number
    expires_at: Number
    run: str
    not_after_step: int | None
    incident: str | None
    is_observed_only: bool


class RowPart(Part):
    """`watchdog.vocabulary.samples.Row`."""

    subject: SubjectText
    at: Number
    values: Mapping[str, Number]


class EventPart(Part):
    """`watchdog.vocabulary.samples.Event`."""

    kind: str
    subject: SubjectText
    at: Number
    code: int | None
    severity: str
    action: str
    message: str
    line: str
    data: Json


class StepPart(Part):
    """`watchdog.service.Step`."""

    run: str
    rank: int
    step: int
    at: Number
    seconds: Number | None
    tokens: int | None
    loss: Number | None
    grad_norm: Number | None
    lr: Number | None
    times: Mapping[str, Number]
    batch_id: str
    open_section: str


class CollectorPart(Part):
    """`watchdog.state.CollectorState`."""

    name: str
    period_seconds: Number
    is_missing: bool
    last_success_at: Number | None
    last_error: str
    duration_seconds: Number | None
    num_calls: int
    num_failures: int


class RunPart(Part):
    """`watchdog.state.RunState`."""

    run: str
    stage: str
    world_size: int
    ranks: tuple[int, ...]
    begun_at: Number
    step: int | None
    step_at: Number | None
    values: Mapping[str, Number]
    checkpoints: tuple[Json, ...]
    ended_at: Number | None
    end_reason: str


class CountPart(Part):
    """How often a code was seen at one place."""

    where: str
    """UUID or PCI address."""
    code: int
    count: int
    last_at: Number


class ErrorDocument(Document):
    """A refused request."""

    type: Literal["error"] = "error"
    error: str
    """What was wrong."""
    hint: str
    """What to do."""


class AliveDocument(Document):
    """The process answers. It says nothing about the node: see /v1/health."""

    type: Literal["alive"] = "alive"
    daemon: str
    """Version."""
    started_at: Number


class StateDocument(Document):
    """`watchdog.state.State`: everything that is known now."""

    type: Literal["state"] = "state"
    node: str
    at: Number
    started_at: Number
    daemon: str
    severity: SeverityName
    findings: tuple[FindingPart, ...]
    incidents: tuple[IncidentPart, ...]
    """Open ones, and those closed within a day; newest first."""
    signal: SignalPart | None
    rows: tuple[RowPart, ...]
    """The newest of every subject."""
    facts: Mapping[str, Json]
    """By subject."""
    collectors: tuple[CollectorPart, ...]
    runs: tuple[RunPart, ...]
    xid_counts: tuple[CountPart, ...]
    sxid_counts: tuple[CountPart, ...]
    counters: Mapping[str, Number]


class HealthDocument(Document):
    """One word for scripts."""

    type: Literal["health"] = "health"
    node: str
    at: Number
    """When the state was made."""
    age_seconds: Number
    severity: SeverityName
    """UNKNOWN, unless FAIL, when the state is older than a minute."""
    exit_code: Literal[0, 1, 3]
    """0 OK or WARN; 1 FAIL; 3 cannot tell."""
    num_findings: int


class FindingsDocument(Document):
    """What is wrong or not known now."""

    type: Literal["findings"] = "findings"
    node: str
    at: Number
    findings: tuple[FindingPart, ...]


class IncidentsDocument(Document):
    """Kept incidents, newest first."""

    type: Literal["incidents"] = "incidents"
    incidents: tuple[IncidentPart, ...]


class IncidentDocument(Document):
    """One incident."""

    type: Literal["incident"] = "incident"
    incident: IncidentPart


class SamplesDocument(Document):
    """Kept rows of one subject, oldest first."""

    type: Literal["samples"] = "samples"
    rows: tuple[RowPart, ...]


class EventsDocument(Document):
    """Kept events, oldest first."""

    type: Literal["events"] = "events"
    events: tuple[EventPart, ...]


class StepsDocument(Document):
    """Kept steps of a run, oldest first."""

    type: Literal["steps"] = "steps"
    steps: tuple[StepPart, ...]


class RunsDocument(Document):
    """Runs on this node, as their ranks last said."""

    type: Literal["runs"] = "runs"
    runs: tuple[RunPart, ...]


class SignalDocument(Document):
    """What the run is asked to do; null: go on."""

    type: Literal["signal"] = "signal"
    at: Number
    """The daemon's clock when it answered: the signal is void `expires_at - at` seconds after."""
    signal: SignalPart | None


class KeptDocument(Document):
    """All of it is on disk."""

    type: Literal["kept"] = "kept"
    num_kept: int
    started_at: Number
    """When the daemon started: where this changed, a client says again which run it is."""
