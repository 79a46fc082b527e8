"""Sensors and pairings in the registry."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from dyncal.adapters.registry import audit, counters, schema
from dyncal.domain.errors import NotFound
from dyncal.domain.sensors import EdgeId, ModelKind, Pairing, Sensor, SensorId, SiteId
from dyncal.domain.time import DurationNs
from dyncal.ports.records import Act

_WHERE: Final = "key_of_row"
_PER_QUERY: Final = 1_000  # databases bound the number of parameters


def put(connection: sa.Connection, sensors: Sequence[Sensor], pairings: Sequence[Pairing], act: Act) -> bool:
    """Add or replace; return whether anything changed."""
    changed = [("sensor.put", key) for key in _put(connection, schema.sensors, "id", sensors)]
    changed += [("pairing.put", key) for key in _put(connection, schema.pairings, "sensor", pairings)]
    if not changed:
        return False
    audit.extend(connection, act, changed)
    counters.increase(connection, "sensors")
    return True


def _put(connection: sa.Connection, table: sa.Table, key: str, things: Sequence[Sensor | Pairing]) -> list[str]:
    """Add or replace rows in few statements; return the keys of what changed, in order, as if put one by one.

    Columns are named as attributes are, and the key is the first.
    """
    columns = table.columns.keys()
    content = operator.attrgetter(*columns)
    there = _rows(connection, table.c[key], [getattr(thing, key) for thing in things])
    now = dict(there)
    changed: list[str] = []
    for thing in things:
        row = content(thing)
        if now.get(row[0]) != row:
            now[row[0]] = row
            changed.append(row[0])
    names = dict.fromkeys(changed)
    new = [dict(zip(columns, now[name], strict=True)) for name in names if name not in there]
    other = [dict(zip(columns, now[name], strict=True), **{_WHERE: name}) for name in names if name in there]
    if new:
        connection.execute(sa.insert(table), new)
    if other:
        connection.execute(sa.update(table).where(table.c[key] == sa.bindparam(_WHERE)), other)
    return changed


def _rows(connection: sa.Connection, key: sa.Column[Any], names: list[str]) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for start in range(0, len(names), _PER_QUERY):
        query = sa.select(key.table).where(key.in_(names[start : start + _PER_QUERY]))
        found.update((row[0], tuple(row)) for row in connection.execute(query))
    return found


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
            u_reference_noise=row.u_reference_noise,
            dead_time=row.dead_time,
            n_poles=row.n_poles,
            n_zeros=row.n_zeros,
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
