"""Which rows those may see who are confined to some sensors."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from dyncal.adapters.registry import schema
from dyncal.ports.access import Reach

_sensors = schema.sensors.c


def within(sensor: sa.ColumnElement[Any], reach: Reach) -> sa.ColumnElement[bool]:
    """Return the condition that `sensor`, a column with ids of sensors, is one of `reach` that there is."""
    known = sa.select(_sensors.id)
    return sensor.in_(
        known.where(sa.or_(_sensors.edge.in_(sorted(reach.edges)), _sensors.id.in_(sorted(reach.sensors))))
    )
