"""Runs, and what they found on nodes and devices."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the tables, and mark the file as ours ("FRYR")."""
    op.execute("PRAGMA application_id = 1179801938")
    _runs()
    _devices()
    _measurements()
    op.create_table(
        "probe", sa.Column("id", sa.Integer, primary_key=True), sa.Column("room", sa.LargeBinary, nullable=False)
    )


def _owner(column: str, table: str, *, is_key: bool = False) -> sa.Column[int]:
    return sa.Column(
        column, sa.Integer, sa.ForeignKey(f"{table}.id", ondelete="CASCADE"), nullable=False, primary_key=is_key
    )


def _runs() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("started_epoch_seconds", sa.Float, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("plan", sa.JSON, nullable=False),
        sa.Column("fryer_version", sa.Text, nullable=False),
    )
    op.create_index("ix_run_started_epoch_seconds", "run", ["started_epoch_seconds"])
    op.create_table(
        "node_result",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Text, sa.ForeignKey("run.id", ondelete="CASCADE"), nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("interrupted", sa.Text),
        sa.Column("versions", sa.JSON, nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
        sa.Column("findings", sa.JSON, nullable=False),
    )
    op.create_index("ix_node_result_run_id", "node_result", ["run_id"])
    op.create_index("ix_node_result_node", "node_result", ["node"])


def _devices() -> None:
    op.create_table(
        "device_result",
        sa.Column("id", sa.Integer, primary_key=True),
        _owner("node_result_id", "node_result"),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("part", sa.Text, nullable=False),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.Column("serial", sa.Text),
        sa.Column("pci_bus_id", sa.Text),
        sa.Column("vbios", sa.Text),
        sa.Column("driver", sa.Text),
        sa.Column("memory_bytes", sa.BigInteger),
        sa.Column("cores", sa.Integer),
        sa.Column("clock_max_hertz", sa.Float),
        sa.Column("link_bytes_per_second", sa.Float),
        sa.Column("link", sa.Text),
        sa.Column("more", sa.JSON, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("reasons", sa.JSON, nullable=False),
    )
    op.create_index("ix_device_result_node_result_id", "device_result", ["node_result_id"])
    op.create_index("ix_device_result_part", "device_result", ["part"])
    op.create_index("ix_device_result_uuid", "device_result", ["uuid"])


def _measurements() -> None:
    op.create_table(
        "measurement",
        sa.Column("id", sa.Integer, primary_key=True),
        _owner("device_result_id", "device_result"),
        sa.Column("burn", sa.Text, nullable=False),
        sa.Column("case", sa.Text, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("spread_ratio", sa.Float),
        sa.Column("steady_from_seconds", sa.Float),
        sa.Column("digest", sa.Text),
        sa.Column("more", sa.JSON, nullable=False),
    )
    op.create_index("ix_measurement_device_result_id", "measurement", ["device_result_id"])
    op.create_table(
        "series",
        _owner("measurement_id", "measurement", is_key=True),
        sa.Column("points", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "recording",
        sa.Column("id", sa.Integer, primary_key=True),
        _owner("node_result_id", "node_result"),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("columns", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_recording_node_result_id", "recording", ["node_result_id"])
