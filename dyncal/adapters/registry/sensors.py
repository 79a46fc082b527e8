"""Sensors and pairings in the registry."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from dyncal.adapters.registry import audit, counters, schema
from dyncal.domain.errors import NotFound
from dyncal.domain.sensors import EdgeId, ModelKind, Pairing, Sensor, SensorId, SiteId
from dyncal.domain.time import DurationNs
from dyncal.ports.registry import Act


def put(connection: sa.Connection, sensors: Sequence[Sensor], pairings: Sequence[Pairing], act: Act) -> bool:
    """Add or replace; return whether anything changed."""
    changed = False
    for sensor in sensors:
        changed |= _put(connection, schema.sensors, "id", dataclasses.asdict(sensor), act, "sensor.put")
    for pairing in pairings:
        changed |= _put(connection, schema.pairings, "sensor", dataclasses.asdict(pairing), act, "pairing.put")
    if changed:
        counters.increase(connection, "sensors")
    return changed


def _put(connection: sa.Connection, table: sa.Table, key: str, content: dict[str, Any], act: Act, action: str) -> bool:
    here = table.c[key] == content[key]
    row = connection.execute(sa.select(table).where(here)).mappings().one_or_none()
    if row is not None and dict(row) == content:
        return False
    statement = sa.insert(table) if row is None else sa.update(table).where(here)
    connection.execute(statement.values(**content))
    audit.append(connection, act, action, content[key])
    return True


def remove_pairing(connection: sa.Connection, sensor: SensorId, act: Act) -> None:
    """Remove the pairing of a sensor. Raises `NotFound`."""
    gone = connection.execute(sa.delete(schema.pairings).where(schema.pairings.c.sensor == sensor))
    if gone.rowcount == 0:
        raise NotFound(f"sensor {sensor} has no pairing")
    audit.append(connection, act, "pairing.remove", sensor)
    counters.increase(connection, "sensors")


def every_sensor(connection: sa.Connection) -> list[Sensor]:
    """Return all sensors in order of id."""
    return [_sensor(row) for row in connection.execute(sa.select(schema.sensors).order_by(schema.sensors.c.id))]


def sensor(connection: sa.Connection, wanted: SensorId) -> Sensor:
    """Return one sensor. Raises `NotFound`."""
    row = connection.execute(sa.select(schema.sensors).where(schema.sensors.c.id == wanted)).one_or_none()
    if row is None:
        raise NotFound(f"no sensor {wanted}")
    return _sensor(row)


def every_pairing(connection: sa.Connection) -> list[Pairing]:
    """Return all pairings in order of sensor."""
    rows = connection.execute(sa.select(schema.pairings).order_by(schema.pairings.c.sensor))
    return [
        Pairing(
            sensor=SensorId(row.sensor),
            reference=SensorId(row.reference),
            model=ModelKind(row.model),
            u_reference=row.u_reference,
            u_reference_gain=row.u_reference_gain,
            u_clock_s=row.u_clock_s,
            band_hz=row.band_hz,
            max_latency_s=row.max_latency_s,
            tolerance=dict(row.tolerance),
        )
        for row in rows
    ]


def _sensor(row: sa.Row[Any]) -> Sensor:
    return Sensor(
        id=SensorId(row.id),
        site=SiteId(row.site),
        edge=EdgeId(row.edge),
        unit=row.unit,
        dt_ns=DurationNs(row.dt_ns),
        label=row.label,
    )
