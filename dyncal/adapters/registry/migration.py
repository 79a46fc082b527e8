"""The way from tables of older versions to those of this program, in the transaction that finds them."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from dyncal.adapters.registry import audit, schema
from dyncal.domain.time import InstantNs
from dyncal.ports.registry import Act

_ACTOR: Final = "migration"
_REASON: Final = "no calibration while at work was ever possible with this model as it was stored"


def migrate(connection: sa.Connection) -> None:
    """Bring tables of version 1 up to date; others are left as they are."""
    version = connection.execute(sa.select(schema.schema_version.c.version).with_for_update()).scalars().all()
    if version == [1]:
        _second(connection)
        connection.execute(sa.update(schema.schema_version).values(version=schema.VERSION))


def _second(connection: sa.Connection) -> None:
    """Add what pairings say of noise and model; remove those of models that a pairing cannot have any more."""
    for column in (
        "u_reference_noise DOUBLE PRECISION",
        "dead_time BOOLEAN NOT NULL DEFAULT FALSE",
        "n_poles INTEGER",
        "n_zeros INTEGER NOT NULL DEFAULT 0",
    ):
        connection.execute(sa.text(f"ALTER TABLE pairings ADD COLUMN {column}"))
    pairings = schema.pairings
    impossible = pairings.c.model.in_(("static", "rational"))
    gone = connection.execute(sa.select(pairings.c.sensor).where(impossible)).scalars().all()
    connection.execute(sa.delete(pairings).where(impossible))
    newest = connection.execute(sa.select(sa.func.max(schema.audit.c.at_ns))).scalar()
    act = Act(_ACTOR, InstantNs(newest or 0), _REASON)  # no clock here: not before what is written already
    audit.extend(connection, act, [("pairing.remove", sensor) for sensor in gone])
