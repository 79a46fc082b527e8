"""The table of the audit trail's signed checkpoints."""

from __future__ import annotations

import sqlalchemy as sa

from dyncal.adapters.registry.schema import metadata

audit_checkpoints = sa.Table(
    "audit_checkpoints",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("site", sa.Text, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("key_id", sa.String(64), nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
)
