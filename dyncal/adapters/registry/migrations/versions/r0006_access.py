"""Keys, users and sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_NAME = sa.String(128)


def upgrade() -> None:
    """Bring the tables here from the revision before."""
    op.create_table(
        "access_keys",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("edge", _NAME),
        sa.Column("edges", sa.JSON),
        sa.Column("sensors", sa.JSON),
        sa.Column("expires_ns", sa.BigInteger),
        sa.Column("revoked_ns", sa.BigInteger),
        sa.Column("used_ns", sa.BigInteger),
    )
    op.create_table(
        "access_users",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("changed_ns", sa.BigInteger, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "access_sessions",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("holder", _NAME, nullable=False),
        sa.Column("opened_ns", sa.BigInteger, nullable=False),
        sa.Column("seen_ns", sa.BigInteger, nullable=False),
        sa.Column("expires_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_access_sessions_holder", "access_sessions", ["holder"])
    op.execute("INSERT INTO counters (name, value) VALUES ('access', 0)")
