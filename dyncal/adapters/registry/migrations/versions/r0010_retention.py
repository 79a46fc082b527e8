"""Where the history of alarms begins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Bring the tables here from the revision before."""
    op.create_table(
        "alarm_horizon",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("whole_from_ns", sa.BigInteger, nullable=False),
    )
