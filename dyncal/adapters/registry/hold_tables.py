"""The table of holds."""

from __future__ import annotations

import sqlalchemy as sa

from dyncal.adapters.registry.schema import metadata

holds = sa.Table(
    "holds",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("put_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
)
