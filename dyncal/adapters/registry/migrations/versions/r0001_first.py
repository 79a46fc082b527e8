"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NAME = sa.String(128)


def upgrade() -> None:
    """Make the tables in an empty database."""
    version = op.create_table("schema_version", sa.Column("version", sa.Integer, nullable=False))
    op.bulk_insert(version, [{"version": 1}])
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(counters, [{"name": "sensors", "value": 0}, {"name": "sets", "value": 0}])
    _sensors()
    _calibrations()
    _alarms()
    op.create_table(
        "snapshots",
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    _audit()


def _sensors() -> None:
    op.create_table(
        "sensors",
        sa.Column("id", _NAME, primary_key=True),
        sa.Column("site", _NAME, nullable=False),
        sa.Column("edge", _NAME, nullable=False, index=True),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("dt_ns", sa.BigInteger, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
    )
    op.create_table(
        "pairings",
        sa.Column("sensor", _NAME, primary_key=True),
        sa.Column("reference", _NAME, nullable=False, index=True),
        sa.Column("model", sa.String(32), nullable=False),
        sa.Column("u_reference", sa.Double, nullable=False),
        sa.Column("u_reference_gain", sa.Double, nullable=False),
        sa.Column("u_clock_s", sa.Double, nullable=False),
        sa.Column("band_hz", sa.Double),
        sa.Column("max_latency_s", sa.Double),
        sa.Column("tolerance", sa.JSON, nullable=False),
    )


def _calibrations() -> None:
    op.create_table(
        "calibrations",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("sensor", _NAME, nullable=False),
        sa.Column("fitted_at_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index("calibrations_by_time", "calibrations", ["fitted_at_ns", "id"])
    op.create_index("calibrations_by_sensor", "calibrations", ["sensor", "fitted_at_ns"])
    op.create_table(
        "coefficient_sets",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("sensor", _NAME, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("changed_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("sensor", "sequence"),
    )


def _alarms() -> None:
    keys: dict[str, sa.Column[Any]] = {
        "alarms": sa.Column("id", sa.String(400), primary_key=True),
        "alarm_history": sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    }
    for name, key in keys.items():
        op.create_table(
            name,
            key,
            sa.Column("sensor", _NAME, nullable=False, index=True),
            sa.Column("kind", sa.String(32), nullable=False),
            sa.Column("state", sa.String(32), nullable=False),
            sa.Column("priority", sa.String(16), nullable=False),
            sa.Column("raised_ns", sa.BigInteger, nullable=False),
            sa.Column("changed_ns", sa.BigInteger, nullable=False),
            sa.Column("parameter", sa.Text, nullable=False),
            sa.Column("value", sa.Double),
            sa.Column("u", sa.Double),
            sa.Column("limit", sa.Double),
            sa.Column("cause", sa.Text, nullable=False),
            sa.Column("response", sa.Text, nullable=False),
        )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    head = op.create_table(
        "audit_head",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.bulk_insert(head, [{"only": 1, "number": 0, "digest": "0" * 64}])
