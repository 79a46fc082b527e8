"""What edges should run, for many sensors in one question: names first, envelopes of those that are new."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import sqlalchemy as sa

from dyncal.adapters.registry import schema, sets
from dyncal.domain.coefficients import SetState
from dyncal.domain.sensors import SensorId
from dyncal.ports.records import SetRecord

_t = schema.sets
_IN_FORCE: Final = (SetState.PUBLISHED, SetState.ACTIVE)
_PER_QUERY: Final = 500


def ids(connection: sa.Connection) -> dict[SensorId, str]:
    """Return the id of the newest set of each sensor that is published or active."""
    query = sa.select(_t.c.sensor, _t.c.id).where(_t.c.state.in_(_IN_FORCE)).order_by(_t.c.sensor, _t.c.sequence)
    return {SensorId(sensor): set_id for sensor, set_id in connection.execute(query)}


def envelopes(connection: sa.Connection, set_ids: Collection[str]) -> dict[str, bytes]:
    """Return the exact envelopes of sets by id; those that are not there are left out."""
    wanted, found = list(set_ids), dict[str, bytes]()
    for start in range(0, len(wanted), _PER_QUERY):
        part = _t.c.id.in_(wanted[start : start + _PER_QUERY])
        rows = connection.execute(sa.select(_t.c.id, _t.c.envelope).where(part))
        found.update((set_id, bytes(envelope)) for set_id, envelope in rows)
    return found


def records(connection: sa.Connection, set_ids: Collection[str]) -> dict[str, SetRecord]:
    """Return sets by id; those that are not there are left out."""
    wanted, found = list(set_ids), dict[str, SetRecord]()
    for start in range(0, len(wanted), _PER_QUERY):
        rows = connection.execute(sa.select(_t).where(_t.c.id.in_(wanted[start : start + _PER_QUERY])))
        found.update((row.id, sets.record_of(row)) for row in rows)
    return found
