"""The table of laboratory calibrations."""

from __future__ import annotations

import sqlalchemy as sa

from dyncal.adapters.registry.schema import metadata

laboratory_calibrations = sa.Table(
    "laboratory_calibrations",
    metadata,
    sa.Column("id", sa.String(255), primary_key=True),
    sa.Column("sensor", sa.String(128), nullable=False),
    sa.Column("calibrated_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("source", sa.LargeBinary, nullable=False),
    sa.Index("laboratory_by_time", "calibrated_ns", "id"),
    sa.Index("laboratory_by_sensor", "sensor", "calibrated_ns", "id"),
)
