"""The daemon's tables, in the same file as the qualifications. A change here needs a migration: a test compares.

What is read many times a second is kept in packed blocks, one a commit: a row of SQLite for each reading would cost
ten times the disk. What is searched has columns of its own; what is only kept and shown is JSON.
Instants are Unix seconds.
"""

from typing import Any, ClassVar

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, LargeBinary, Table, Text, UniqueConstraint
from sqlmodel import Field

from watchdog.store.tables import Base


def _text() -> Column[str]:
    return Column(Text, nullable=False)


def _real() -> Column[float]:
    return Column(Float, nullable=False)


def _integer() -> Column[int]:
    return Column(Integer, nullable=False)


def _json() -> Column[Any]:
    return Column(JSON, nullable=False)


def _subject() -> Column[int]:
    return Column(Integer, ForeignKey("subject.id"), nullable=False)


def _training() -> Column[int]:
    return Column(Integer, ForeignKey("training.id"), nullable=False)


class SubjectName(Base, table=True):
    """A subject, written once."""

    __tablename__: ClassVar[str] = "subject"
    __table_args__ = (UniqueConstraint("node", "kind", "name"),)
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    node: str = Field(sa_column=_text())
    kind: str = Field(sa_column=_text())
    name: str = Field(sa_column=_text())


class MetricName(Base, table=True):
    """A metric, written once."""

    __tablename__: ClassVar[str] = "metric"
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False, unique=True))


class Tick(Base, table=True):
    """All readings of one commit, which is a second or so. Ids are never used twice: the roll-up counts by them."""

    __tablename__: ClassVar[str] = "tick"
    __table_args__ = (Index("ix_tick_last_at", "last_at"), {"sqlite_autoincrement": True})
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    last_at: float = Field(sa_column=_real())
    """The newest reading in it."""
    rows: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """`blocks.pack_rows`."""


class Hour(Base, table=True):
    """The sixty minutes of one subject in one hour, rolled up."""

    __tablename__: ClassVar[str] = "hour"
    __table_args__ = (UniqueConstraint("subject_id", "hour"), Index("ix_hour_hour", "hour"))
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    subject_id: int = Field(sa_column=_subject())
    hour: int = Field(sa_column=_integer())
    """Hours since 1970."""
    minutes: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """`minutes.pack_minutes`."""


class EventRecord(Base, table=True):
    """Something that happened, once or `count` times within a minute."""

    __tablename__: ClassVar[str] = "event"
    __table_args__ = (Index("ix_event_at", "at"),)
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    at: float = Field(sa_column=_real())
    last_at: float = Field(sa_column=_real())
    count: int = Field(sa_column=_integer())
    kind: str = Field(sa_column=_text())
    subject_id: int = Field(sa_column=_subject())
    code: int | None = Field(sa_column=Column(Integer))
    severity: str = Field(sa_column=_text())
    action: str = Field(sa_column=_text())
    message: str = Field(sa_column=_text())
    line: str = Field(sa_column=_text())
    data: dict[str, Any] = Field(sa_column=_json())


class CodeCount(Base, table=True):
    """How often a code came, since the store began: never pruned, unlike the events that it counts."""

    __tablename__: ClassVar[str] = "code_count"
    kind: str = Field(sa_column=Column(Text, primary_key=True))
    unit: str = Field(sa_column=Column(Text, primary_key=True))
    code: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    count: int = Field(sa_column=_integer())
    last_at: float = Field(sa_column=_real())


class FindingRecord(Base, table=True):
    """A finding, from when it was opened to when it was cleared, or was opened anew because it had changed."""

    __tablename__: ClassVar[str] = "finding"
    __table_args__ = (
        Index("ix_finding_key", "source", "subject_id", "code"),
        Index("ix_finding_opened_at", "opened_at"),
    )
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    source: str = Field(sa_column=_text())
    subject_id: int = Field(sa_column=_subject())
    code: str = Field(sa_column=_text())
    severity: int = Field(sa_column=_integer())
    message: str = Field(sa_column=_text())
    action: str = Field(sa_column=_text())
    since: float = Field(sa_column=_real())
    evidence: dict[str, Any] = Field(sa_column=_json())
    opened_at: float = Field(sa_column=_real())
    cleared_at: float | None = Field(sa_column=Column(Float))


class IncidentRecord(Base, table=True):
    """An incident as it is now."""

    __tablename__: ClassVar[str] = "incident"
    __table_args__ = (Index("ix_incident_opened_at", "opened_at"),)
    id: str = Field(sa_column=Column(Text, primary_key=True))
    opened_at: float = Field(sa_column=_real())
    state: str = Field(sa_column=_text())
    body: dict[str, Any] = Field(sa_column=_json())
    """`bodies.incident_body`."""


class IncidentVersion(Base, table=True):
    """An incident as it was: a line is added whenever more than its count, evidence or cost has changed."""

    __tablename__: ClassVar[str] = "incident_version"
    __table_args__ = (Index("ix_incident_version_incident_id", "incident_id"),)
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    incident_id: str = Field(sa_column=_text())
    at: float = Field(sa_column=_real())
    body: dict[str, Any] = Field(sa_column=_json())


class MarkRecord(Base, table=True):
    """A person's word on an incident."""

    __tablename__: ClassVar[str] = "mark"
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    incident_id: str = Field(sa_column=Column(Text, nullable=False, index=True))
    by: str = Field(sa_column=_text())
    reason: str = Field(sa_column=_text())
    at: float = Field(sa_column=_real())


class SignalRecord(Base, table=True):
    """A signal, as it was last published."""

    __tablename__: ClassVar[str] = "signal"
    __table_args__ = (Index("ix_signal_expires_at", "expires_at"),)
    id: str = Field(sa_column=Column(Text, primary_key=True))
    created_at: float = Field(sa_column=_real())
    expires_at: float = Field(sa_column=_real())
    body: dict[str, Any] = Field(sa_column=_json())
    """`bodies.signal_body`."""


class AckRecord(Base, table=True):
    """What a rank did with a signal."""

    __tablename__: ClassVar[str] = "ack"
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    signal_id: str = Field(sa_column=Column(Text, nullable=False, index=True))
    run: str = Field(sa_column=_text())
    rank: int = Field(sa_column=_integer())
    at: float = Field(sa_column=_real())
    result: str = Field(sa_column=_text())
    detail: str = Field(sa_column=_text())


class Training(Base, table=True):
    """The name of a training run, written once."""

    __tablename__: ClassVar[str] = "training"
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False, unique=True))


class TrainingRank(Base, table=True):
    """A rank that trained, from when it began to when it ended."""

    __tablename__: ClassVar[str] = "training_rank"
    __table_args__ = (Index("ix_training_rank_training_id", "training_id", "rank"),)
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    training_id: int = Field(sa_column=_training())
    rank: int = Field(sa_column=_integer())
    begun_at: float = Field(sa_column=_real())
    world_size: int = Field(sa_column=_integer())
    stage: str = Field(sa_column=_text())
    resume_step: int = Field(sa_column=_integer())
    pid: int = Field(sa_column=_integer())
    ended_at: float | None = Field(sa_column=Column(Float))
    end_reason: str = Field(sa_column=_text())


class StepBlock(Base, table=True):
    """Steps of a run: those of one commit, or an hour's, packed."""

    __tablename__: ClassVar[str] = "step_block"
    __table_args__ = (
        Index("ix_step_block_training_id", "training_id", "last_step"),
        Index("ix_step_block_last_at", "is_packed", "last_at"),
    )
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    training_id: int = Field(sa_column=_training())
    last_step: int = Field(sa_column=_integer())
    last_at: float = Field(sa_column=_real())
    is_packed: int = Field(sa_column=_integer())
    """1 once an hour of them has become one, with one rank a step."""
    steps: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """`blocks.pack_steps`."""


class CheckpointRecord(Base, table=True):
    """A checkpoint that changed its state."""

    __tablename__: ClassVar[str] = "checkpoint"
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    training_id: int = Field(sa_column=Column(Integer, ForeignKey("training.id"), nullable=False, index=True))
    rank: int = Field(sa_column=_integer())
    step: int = Field(sa_column=_integer())
    at: float = Field(sa_column=_real())
    path: str = Field(sa_column=_text())
    state: str = Field(sa_column=_text())
    seconds: float | None = Field(sa_column=Column(Float))
    num_bytes: int | None = Field(sa_column=Column(Integer))


class CursorRecord(Base, table=True):
    """How far a source has been read."""

    __tablename__: ClassVar[str] = "cursor"
    source: str = Field(sa_column=Column(Text, primary_key=True))
    boot_id: str = Field(sa_column=_text())
    sequence: int = Field(sa_column=_integer())


class KeptValue(Base, table=True):
    """What a part of the daemon wants to find again after a restart."""

    __tablename__: ClassVar[str] = "kept_value"
    key: str = Field(sa_column=Column(Text, primary_key=True))
    value: Any = Field(sa_column=_json())


METADATA = Base.metadata
"""Of every table in the file."""
SUBJECT: Table = METADATA.tables["subject"]
METRIC: Table = METADATA.tables["metric"]
TICK: Table = METADATA.tables["tick"]
HOUR: Table = METADATA.tables["hour"]
EVENT: Table = METADATA.tables["event"]
CODE_COUNT: Table = METADATA.tables["code_count"]
FINDING: Table = METADATA.tables["finding"]
INCIDENT: Table = METADATA.tables["incident"]
INCIDENT_VERSION: Table = METADATA.tables["incident_version"]
MARK: Table = METADATA.tables["mark"]
SIGNAL: Table = METADATA.tables["signal"]
ACK: Table = METADATA.tables["ack"]
TRAINING: Table = METADATA.tables["training"]
TRAINING_RANK: Table = METADATA.tables["training_rank"]
STEP_BLOCK: Table = METADATA.tables["step_block"]
CHECKPOINT: Table = METADATA.tables["checkpoint"]
CURSOR: Table = METADATA.tables["cursor"]
KEPT_VALUE: Table = METADATA.tables["kept_value"]
ROLLED_UP = "store.rolled_up"
"""Key in `KEPT_VALUE` of the id up to which all ticks are rolled up: the store's own."""
