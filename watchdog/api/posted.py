"""What comes in: one pydantic model per request, strict, refusing unknown fields by the nearest known one.

`as_records` gives the daemon's dataclasses. The same record may come again: it is kept once by (run, rank, step).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from watchdog.api.documents import SCHEMA, VERSION
from watchdog.service import Ack, Checkpoint, RunBegin, RunEnd, Step
from watchdog.vocabulary.errors import nearest

MOST_RECORDS = 1000
"""In one request."""
MOST_SECTIONS = 32
"""Timed in one step."""
LAST_SECONDS = 1e11
"""Times are Unix seconds, not milliseconds: the year 5138."""
_WORDS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=PRINTABLE)]
Text = Annotated[str, Field(max_length=1000, pattern=PRINTABLE)]
Path = Annotated[str, Field(min_length=1, max_length=4096, pattern=PRINTABLE)]
At = Annotated[float, Field(ge=0, le=LAST_SECONDS, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=LAST_SECONDS, allow_inf_nan=False)]
Rank = Annotated[int, Field(ge=0, lt=1 << 24)]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
"""As much as the database holds."""


def _read_number(value: object) -> object:
    return _WORDS.get(value, value) if isinstance(value, str) else value


Number = Annotated[
    float,
    BeforeValidator(_read_number),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"enum": list(_WORDS), "type": "string"}]}),
]
"""May be NaN or infinite, written as a string."""


class Known(BaseModel):
    """Refuses a field that it does not know, and names the nearest that it does."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, data: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in data if isinstance(data, Mapping) else ():
            if key not in known:
                raise ValueError(f"unknown field {str(key)[:100]!r}{nearest(str(key)[:100], known)}")
        return data


class Posted(Known):
    """JSON types as they are: no number in quotes, no true for 1."""

    model_config = ConfigDict(strict=True)


class Envelope(Posted):
    """Says which contract it keeps to; left out, it is this one."""

    schema_: Literal["fryer/watch"] = Field(default=SCHEMA, alias="schema")
    version: Literal[1] = VERSION


class RunBeginPosted(Envelope):
    """`watchdog.service.RunBegin`."""

    run: Name
    rank: Rank
    world_size: Annotated[int, Field(ge=1, le=1 << 24)]
    at: At
    stage: Text = ""
    resume_step: Count = 0
    pid: Count = 0

    def as_records(self) -> list[RunBegin]:
        """One."""
        return [RunBegin(**self.model_dump(exclude={"schema_", "version"}))]


class RunEndPosted(Envelope):
    """`watchdog.service.RunEnd`."""

    run: Name
    rank: Rank
    at: At
    reason: Text = ""

    def as_records(self) -> list[RunEnd]:
        """One."""
        return [RunEnd(**self.model_dump(exclude={"schema_", "version"}))]


class StepPosted(Posted):
    """`watchdog.service.Step`."""

    run: Name
    rank: Rank
    step: Count
    at: At
    seconds: Seconds | None = None
    tokens: Count | None = None
    loss: Number | None = None
    grad_norm: Number | None = None
    lr: Number | None = None
    times: Annotated[dict[Name, Seconds], Field(max_length=MOST_SECTIONS)] = {}
    batch_id: Text = ""
    open_section: Text = ""


class StepsPosted(Envelope):
    """Steps of any runs and ranks, in order."""

    steps: Annotated[list[StepPosted], Field(min_length=1, max_length=MOST_RECORDS)]

    def as_records(self) -> list[Step]:
        """In the same order."""
        return [Step(**step.model_dump()) for step in self.steps]


class CheckpointPosted(Posted):
    """`watchdog.service.Checkpoint`."""

    run: Name
    rank: Rank
    step: Count
    at: At
    path: Path
    state: Literal["writing", "complete", "verified", "good", "suspect", "bad"]
    seconds: Seconds | None = None
    num_bytes: Count | None = None


class CheckpointsPosted(Envelope):
    """Changes of checkpoints, in order."""

    checkpoints: Annotated[list[CheckpointPosted], Field(min_length=1, max_length=MOST_RECORDS)]

    def as_records(self) -> list[Checkpoint]:
        """In the same order."""
        return [Checkpoint(**checkpoint.model_dump()) for checkpoint in self.checkpoints]


class AckPosted(Posted):
    """`watchdog.service.Ack`."""

    run: Name
    rank: Rank
    signal_id: Name
    at: At
    result: Literal["acting", "done", "refused", "expired"]
    detail: Text = ""


class AcksPosted(Envelope):
    """Answers to signals, in order."""

    acks: Annotated[list[AckPosted], Field(min_length=1, max_length=MOST_RECORDS)]

    def as_records(self) -> list[Ack]:
        """In the same order."""
        return [Ack(**ack.model_dump()) for ack in self.acks]


class MarkPosted(Envelope):
    """Who says that it is healthy, and why."""

    by: Name
    reason: Annotated[str, Field(min_length=1, max_length=1000, pattern=PRINTABLE)]
