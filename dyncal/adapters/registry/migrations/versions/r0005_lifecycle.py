"""The history of coefficient sets, the policies by which they are released, and orders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_NAME = sa.String(128)


def upgrade() -> None:
    """Bring the tables here from the revision before; a set's history begins with the state that it is in."""
    _moves()
    op.create_table(
        "release_policies",
        sa.Column("sensor", _NAME, primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("changed_ns", sa.BigInteger, nullable=False),
    )
    _orders()
    op.execute("INSERT INTO counters (name, value) VALUES ('orders', 0)")
    op.execute(
        "INSERT INTO set_moves (set_id, sensor, before, state, actor, at_ns, reason) "
        "SELECT id, sensor, NULL, state, 'migration', changed_ns, reason FROM coefficient_sets "
        "ORDER BY changed_ns, sensor, sequence"
    )


def _moves() -> None:
    op.create_table(
        "set_moves",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("set_id", sa.String(255), nullable=False),
        sa.Column("sensor", _NAME, nullable=False),
        sa.Column("before", sa.String(16)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("ix_set_moves_set_id", "set_moves", ["set_id"])
    op.create_index("set_moves_of_sensor", "set_moves", ["sensor", "number"])
    op.create_index("set_moves_to_state", "set_moves", ["sensor", "state", "number"])


def _orders() -> None:
    op.create_table(
        "orders",
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
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_orders_revision", "orders", ["revision"])
    op.create_index("orders_by_state", "orders", ["state", "given"])
    op.create_index("orders_by_subject", "orders", ["subject", "revision"])
