"""What pairings say of noise and model, without those of models that a pairing cannot have any more."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from dyncal.adapters.registry import audit
from dyncal.domain.time import InstantNs
from dyncal.ports.records import Act

revision = "0002"
down_revision = "0001"

_ACTOR: Final = "migration"
_REASON: Final = "no calibration while at work was ever possible with this model as it was stored"


def upgrade() -> None:
    """Bring the tables here from the revision before."""
    op.add_column("pairings", sa.Column("u_reference_noise", sa.Double))
    op.add_column("pairings", sa.Column("dead_time", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("pairings", sa.Column("n_poles", sa.Integer))
    op.add_column("pairings", sa.Column("n_zeros", sa.Integer, nullable=False, server_default="0"))
    connection = op.get_bind()
    pairings = sa.table("pairings", sa.column("sensor"), sa.column("model"))
    impossible = pairings.c.model.in_(("static", "rational"))
    gone = connection.execute(sa.select(pairings.c.sensor).where(impossible)).scalars().all()
    connection.execute(sa.delete(pairings).where(impossible))
    trail = sa.table("audit", sa.column("at_ns"))
    newest = connection.execute(sa.select(sa.func.max(trail.c.at_ns))).scalar()
    act = Act(_ACTOR, InstantNs(newest or 0), _REASON)  # no clock here: not before what is written already
    audit.extend(connection, act, [("pairing.remove", sensor) for sensor in gone])
    op.execute("UPDATE schema_version SET version = 2")
