"""Laboratory calibrations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Bring the tables here from the revision before."""
    op.create_table(
        "laboratory_calibrations",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("sensor", sa.String(128), nullable=False),
        sa.Column("calibrated_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("source", sa.LargeBinary, nullable=False),
    )
    op.create_index("laboratory_by_time", "laboratory_calibrations", ["calibrated_ns", "id"])
    op.create_index("laboratory_by_sensor", "laboratory_calibrations", ["sensor", "calibrated_ns", "id"])
