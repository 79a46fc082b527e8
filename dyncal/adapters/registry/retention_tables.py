"""Where the history of alarms begins."""

from __future__ import annotations

import sqlalchemy as sa

from dyncal.adapters.registry.schema import metadata

alarm_horizon = sa.Table(
    "alarm_horizon",
    metadata,
    sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("whole_from_ns", sa.BigInteger, nullable=False),
)
"""At most one row: what was before that instant may have been forgotten."""
