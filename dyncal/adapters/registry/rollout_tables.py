"""Tables of rollouts, of their members and of their history."""

from __future__ import annotations

import sqlalchemy as sa

from dyncal.adapters.registry.schema import metadata

_ID = sa.String(64)
_NAME = sa.String(128)
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite counts up by itself in integers alone

rollouts = sa.Table(
    "rollouts",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("begun_ns", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Index("rollouts_by_begin", "begun_ns", "id"),
)

rollout_members = sa.Table(
    "rollout_members",
    metadata,
    sa.Column("rollout", _ID, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sensor", _NAME, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("stage", sa.Integer),
    sa.Column("failure", sa.String(16)),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Index("rollout_members_by_state", "state", "rollout"),
)

rollout_moves = sa.Table(
    "rollout_moves",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("rollout", _ID, nullable=False),
    sa.Column("subject", _NAME, nullable=False),
    sa.Column("action", sa.String(32), nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("rollout_moves_of_rollout", "rollout", "number"),
)
