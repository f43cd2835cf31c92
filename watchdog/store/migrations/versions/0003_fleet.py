"""What a run found of no single node: links, and what was measured between nodes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Runs that are there found nothing of the kind."""
    op.add_column("run", sa.Column("more", sa.JSON, nullable=False, server_default="{}"))
