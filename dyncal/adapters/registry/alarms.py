"""Alarms in the registry: as they stand, and every change that they went through."""

from __future__ import annotations

import dataclasses
from typing import Any

import sqlalchemy as sa

from dyncal.adapters.registry import audit, schema
from dyncal.domain.alarms import Alarm, AlarmKind, AlarmState, Priority
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.registry import Act

_now, _past = schema.alarms, schema.alarm_history


def put(connection: sa.Connection, alarm: Alarm, act: Act) -> None:
    """Add or replace an alarm by its id, and keep the change in its history."""
    content = dataclasses.asdict(alarm)
    connection.execute(sa.delete(_now).where(_now.c.id == alarm.id))
    connection.execute(sa.insert(_now).values(id=alarm.id, **content))
    connection.execute(sa.insert(_past).values(**content))
    audit.append(connection, act, f"alarm.{alarm.state}", alarm.id)


def standing(connection: sa.Connection, active_only: bool, limit: int) -> list[Alarm]:
    """Return alarms, last changed first."""
    query = sa.select(_now).order_by(_now.c.changed_ns.desc(), _now.c.id).limit(limit)
    if active_only:
        query = query.where(_now.c.state.in_((AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)))
    return [_alarm(row) for row in connection.execute(query)]


def history(connection: sa.Connection, sensor: SensorId | None, limit: int) -> list[Alarm]:
    """Return changes of alarms, newest first."""
    query = sa.select(_past).order_by(_past.c.number.desc()).limit(limit)
    if sensor is not None:
        query = query.where(_past.c.sensor == sensor)
    return [_alarm(row) for row in connection.execute(query)]


def _alarm(row: sa.Row[Any]) -> Alarm:
    return Alarm(
        sensor=SensorId(row.sensor),
        kind=AlarmKind(row.kind),
        state=AlarmState(row.state),
        priority=Priority(row.priority),
        raised_ns=InstantNs(row.raised_ns),
        changed_ns=InstantNs(row.changed_ns),
        parameter=row.parameter,
        value=row.value,
        u=row.u,
        limit=row.limit,
        cause=row.cause,
        response=row.response,
    )
