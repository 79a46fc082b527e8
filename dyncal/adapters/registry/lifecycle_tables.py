"""Tables of the life of coefficient sets: their moves, who releases them, and the orders that people give."""

from __future__ import annotations

import sqlalchemy as sa

from dyncal.adapters.registry.schema import metadata

_NAME = sa.String(128)
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite counts up by itself in integers alone

set_moves = sa.Table(
    "set_moves",
    metadata,
    sa.Column("number", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("set_id", sa.String(255), nullable=False, index=True),
    sa.Column("sensor", _NAME, nullable=False),
    sa.Column("before", sa.String(16)),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("set_moves_of_sensor", "sensor", "number"),
    sa.Index("set_moves_to_state", "sensor", "state", "number"),
)

release_policies = sa.Table(
    "release_policies",
    metadata,
    sa.Column("sensor", _NAME, primary_key=True),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("changed_ns", sa.BigInteger, nullable=False),
)

orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("subject", sa.String(255), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("role", sa.String(32), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at_ns", sa.BigInteger, nullable=False),
    sa.Column("given", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("result", sa.String(255), nullable=False),
    sa.Column("done_ns", sa.BigInteger),
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.Index("orders_by_state", "state", "given"),
    sa.Index("orders_by_subject", "subject", "revision"),
)
"""`given`: the revision with which an order came in, and so the order of orders."""
