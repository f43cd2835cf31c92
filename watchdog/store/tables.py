"""The tables of qualifications; `watch_tables` has the daemon's. A change in either needs a migration: a test compares.

Ids are dealt out by `keeping` under the write lock. Instants are kept as they were written, for people, and as
seconds since 1970, for ordering.
"""

from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Column, Float, ForeignKey, Integer, LargeBinary, Table, Text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

SCHEMA = "0003"
"""Newest migration in `migrations/versions`; a test holds the two together, so that opening need not import Alembic."""
APPLICATION_ID = 0x46525952
"""``FRYR`` in the header of the file (PRAGMA application_id), so that another program's database is told apart."""


class Base(SQLModel, registry=registry()):
    """Ours alone, so that tables of other packages don't enter the migrations."""


def _owner(table: str, **more: Any) -> Column[int]:
    """A column that points at the `id` of `table`; removing the owner removes what it owns."""
    return Column(Integer, ForeignKey(f"{table}.id", ondelete="CASCADE"), nullable=False, **more)


class Run(Base, table=True):
    """One call of ``fryer run``."""

    __tablename__: ClassVar[str] = "run"
    id: str = Field(sa_column=Column(Text, primary_key=True))
    started_at: str = Field(sa_column=Column(Text, nullable=False))
    started_epoch_seconds: float = Field(sa_column=Column(Float, nullable=False, index=True))
    command: str = Field(sa_column=Column(Text, nullable=False))
    seconds: float = Field(sa_column=Column(Float, nullable=False))
    verdict: str = Field(sa_column=Column(Text, nullable=False))
    plan: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    fryer_version: str = Field(sa_column=Column(Text, nullable=False))
    more: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False, server_default="{}"))


class NodeResult(Base, table=True):
    """What a run found on one node."""

    __tablename__: ClassVar[str] = "node_result"
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    run_id: str = Field(sa_column=Column(Text, ForeignKey("run.id", ondelete="CASCADE"), nullable=False, index=True))
    node: str = Field(sa_column=Column(Text, nullable=False, index=True))
    verdict: str = Field(sa_column=Column(Text, nullable=False))
    interrupted: str | None = Field(sa_column=Column(Text))
    versions: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    reasons: list[Any] = Field(sa_column=Column(JSON, nullable=False))
    findings: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class DeviceResult(Base, table=True):
    """What a run found on one device."""

    __tablename__: ClassVar[str] = "device_result"
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    node_result_id: int = Field(sa_column=_owner("node_result", index=True))
    name: str = Field(sa_column=Column(Text, nullable=False))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    part: str = Field(sa_column=Column(Text, nullable=False, index=True))
    uuid: str = Field(sa_column=Column(Text, nullable=False, index=True))
    serial: str | None = Field(sa_column=Column(Text))
    pci_bus_id: str | None = Field(sa_column=Column(Text))
    vbios: str | None = Field(sa_column=Column(Text))
    driver: str | None = Field(sa_column=Column(Text))
    memory_bytes: int | None = Field(sa_column=Column(BigInteger))
    cores: int | None = Field(sa_column=Column(Integer))
    clock_max_hertz: float | None = Field(sa_column=Column(Float))
    link_bytes_per_second: float | None = Field(sa_column=Column(Float))
    link: str | None = Field(sa_column=Column(Text))
    more: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    verdict: str = Field(sa_column=Column(Text, nullable=False))
    reasons: list[Any] = Field(sa_column=Column(JSON, nullable=False))


class Measurement(Base, table=True):
    """One figure of one burn on one device."""

    __tablename__: ClassVar[str] = "measurement"
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    device_result_id: int = Field(sa_column=_owner("device_result", index=True))
    burn: str = Field(sa_column=Column(Text, nullable=False))
    case: str = Field(sa_column=Column(Text, nullable=False))
    metric: str = Field(sa_column=Column(Text, nullable=False))
    value: float | None = Field(sa_column=Column(Float))
    spread_ratio: float | None = Field(sa_column=Column(Float))
    steady_from_seconds: float | None = Field(sa_column=Column(Float))
    digest: str | None = Field(sa_column=Column(Text))
    more: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class Series(Base, table=True):
    """The series of a measurement, apart from it so that questions about figures don't page through it."""

    __tablename__: ClassVar[str] = "series"
    measurement_id: int = Field(sa_column=_owner("measurement", primary_key=True))
    points: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """`packing.pack_points`."""


class RecordingResult(Base, table=True):
    """Readings and digests of a node, by column."""

    __tablename__: ClassVar[str] = "recording"
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    node_result_id: int = Field(sa_column=_owner("node_result", index=True))
    source: str = Field(sa_column=Column(Text, nullable=False))
    device: str = Field(sa_column=Column(Text, nullable=False))
    columns: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    """`packing.pack_columns`."""


class Probe(Base, table=True):
    """Empty but for an instant, when `check_writable` proves that there is room."""

    __tablename__: ClassVar[str] = "probe"
    id: int = Field(sa_column=Column(Integer, primary_key=True))
    room: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


METADATA = Base.metadata
RUN: Table = METADATA.tables["run"]
NODE: Table = METADATA.tables["node_result"]
DEVICE: Table = METADATA.tables["device_result"]
MEASUREMENT: Table = METADATA.tables["measurement"]
SERIES: Table = METADATA.tables["series"]
RECORDING: Table = METADATA.tables["recording"]
PROBE: Table = METADATA.tables["probe"]
