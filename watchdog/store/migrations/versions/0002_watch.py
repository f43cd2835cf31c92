"""What the daemon keeps: readings, events, findings, incidents, signals, and what runs say."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the daemon's tables; qualifications stay as they are."""
    _names()
    _readings()
    _events()
    _findings()
    _incidents()
    _signals()
    _trainings()
    _steps()
    _places()


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _reals(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Float, nullable=False) for name in names]


def _integers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.Integer, nullable=False) for name in names]


def _json(name: str) -> sa.Column[dict[str, object]]:
    return sa.Column(name, sa.JSON, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _of(table: str) -> sa.Column[int]:
    return sa.Column(f"{table}_id", sa.Integer, sa.ForeignKey(f"{table}.id"), nullable=False)


def _names() -> None:
    op.create_table("subject", _id(), *_texts("node", "kind", "name"), sa.UniqueConstraint("node", "kind", "name"))
    op.create_table("metric", _id(), *_texts("name"), sa.UniqueConstraint("name"))
    op.create_table("training", _id(), *_texts("name"), sa.UniqueConstraint("name"))


def _readings() -> None:
    op.create_table("tick", _id(), *_reals("last_at"), _bytes("rows"), sqlite_autoincrement=True)
    op.create_index("ix_tick_last_at", "tick", ["last_at"])
    op.create_table(
        "hour",
        _id(),
        _of("subject"),
        *_integers("hour"),
        _bytes("minutes"),
        sa.UniqueConstraint("subject_id", "hour"),
    )
    op.create_index("ix_hour_hour", "hour", ["hour"])


def _events() -> None:
    op.create_table(
        "event",
        _id(),
        *_reals("at", "last_at"),
        *_integers("count"),
        *_texts("kind"),
        _of("subject"),
        sa.Column("code", sa.Integer),
        *_texts("severity", "action", "message", "line"),
        _json("data"),
    )
    op.create_index("ix_event_at", "event", ["at"])
    op.create_table(
        "code_count",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("code", sa.Integer, primary_key=True, autoincrement=False),
        *_integers("count"),
        *_reals("last_at"),
    )


def _findings() -> None:
    op.create_table(
        "finding",
        _id(),
        *_texts("source"),
        _of("subject"),
        *_texts("code"),
        *_integers("severity"),
        *_texts("message", "action"),
        *_reals("since"),
        _json("evidence"),
        *_reals("opened_at"),
        sa.Column("cleared_at", sa.Float),
    )
    op.create_index("ix_finding_key", "finding", ["source", "subject_id", "code"])
    op.create_index("ix_finding_opened_at", "finding", ["opened_at"])


def _incidents() -> None:
    op.create_table(
        "incident",
        sa.Column("id", sa.Text, primary_key=True),
        *_reals("opened_at"),
        *_texts("state"),
        _json("body"),
    )
    op.create_index("ix_incident_opened_at", "incident", ["opened_at"])
    op.create_table("incident_version", _id(), *_texts("incident_id"), *_reals("at"), _json("body"))
    op.create_index("ix_incident_version_incident_id", "incident_version", ["incident_id"])
    op.create_table("mark", _id(), *_texts("incident_id", "by", "reason"), *_reals("at"))
    op.create_index("ix_mark_incident_id", "mark", ["incident_id"])


def _signals() -> None:
    op.create_table(
        "signal", sa.Column("id", sa.Text, primary_key=True), *_reals("created_at", "expires_at"), _json("body")
    )
    op.create_index("ix_signal_expires_at", "signal", ["expires_at"])
    op.create_table(
        "ack",
        _id(),
        *_texts("signal_id", "run"),
        *_integers("rank"),
        *_reals("at"),
        *_texts("result", "detail"),
    )
    op.create_index("ix_ack_signal_id", "ack", ["signal_id"])


def _trainings() -> None:
    op.create_table(
        "training_rank",
        _id(),
        _of("training"),
        *_integers("rank"),
        *_reals("begun_at"),
        *_integers("world_size"),
        *_texts("stage"),
        *_integers("resume_step", "pid"),
        sa.Column("ended_at", sa.Float),
        *_texts("end_reason"),
    )
    op.create_index("ix_training_rank_training_id", "training_rank", ["training_id", "rank"])
    op.create_table(
        "checkpoint",
        _id(),
        _of("training"),
        *_integers("rank", "step"),
        *_reals("at"),
        *_texts("path", "state"),
        sa.Column("seconds", sa.Float),
        sa.Column("num_bytes", sa.Integer),
    )
    op.create_index("ix_checkpoint_training_id", "checkpoint", ["training_id"])


def _steps() -> None:
    op.create_table(
        "step_block",
        _id(),
        _of("training"),
        *_integers("last_step"),
        *_reals("last_at"),
        *_integers("is_packed"),
        _bytes("steps"),
    )
    op.create_index("ix_step_block_training_id", "step_block", ["training_id", "last_step"])
    op.create_index("ix_step_block_last_at", "step_block", ["is_packed", "last_at"])


def _places() -> None:
    op.create_table(
        "cursor", sa.Column("source", sa.Text, primary_key=True), *_texts("boot_id"), *_integers("sequence")
    )
    op.create_table("kept_value", sa.Column("key", sa.Text, primary_key=True), _json("value"))
