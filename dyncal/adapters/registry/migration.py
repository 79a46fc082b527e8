"""The way from tables of older versions to those of this program, in the transaction that finds them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from dyncal.adapters.registry import alarms, audit, schema
from dyncal.alarms import stored
from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import DEFAULTS
from dyncal.alarms.engine import EngineState
from dyncal.alarms.events import Changed
from dyncal.domain.alarms import AlarmEvent, AlarmKind, AlarmState, Annunciation, Condition, Priority
from dyncal.domain.sensors import SiteId
from dyncal.domain.time import InstantNs
from dyncal.ports.registry import Act

_ACTOR: Final = "migration"
_REASON: Final = "no calibration while at work was ever possible with this model as it was stored"


def migrate(connection: sa.Connection) -> None:
    """Bring tables of versions 1 and 2 up to date; others are left as they are."""
    version = connection.execute(sa.select(schema.schema_version.c.version).with_for_update()).scalars().all()
    if version not in ([1], [2]):
        return
    if version == [1]:
        _second(connection)
    _third(connection)
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


def _third(connection: sa.Connection) -> None:
    """Take alarms over into the tables of their engine: one for each sensor and kind, and every change it had."""
    schema.metadata.create_all(connection, tables=list(schema.ALARM_TABLES))
    sensors = {row.id: row for row in connection.execute(sa.select(schema.sensors))}
    standing: dict[str, Alarm] = {}
    rows = []
    for row in connection.execute(sa.text("SELECT * FROM alarm_history ORDER BY number")):
        change = _changed(row, sensors.get(row.sensor), standing.get(f"{row.sensor}:{row.kind}"))
        standing[change.alarm.id] = change.alarm
        rows.append(change)
    if rows:
        last = rows[-1]
        state = EngineState(InstantNs(max(c.at_ns for c in rows)), last.alarm.number)
        connection.execute(sa.insert(schema.alarm_changes), [alarms.change_row(change) for change in rows])
        connection.execute(sa.insert(schema.alarm_states), [
            {"id": a.id, "active": a.active, "number": a.number, "document": stored.dump(a)} for a in standing.values()
        ])  # fmt: skip
        connection.execute(sa.insert(schema.alarm_desk).values(only=1, revision=1, document=stored.dump(state)))
    for table in ("alarms", "alarm_history"):
        connection.execute(sa.text(f"DROP TABLE {table}"))


def _changed(row: sa.Row[Any], sensor: sa.Row[Any] | None, before: Alarm | None) -> Changed:
    """Return what a row of the old history says."""
    state, kind, at_ns = row.state, AlarmKind(row.kind), InstantNs(row.changed_ns)
    active = state in (AlarmState.UNACKNOWLEDGED, AlarmState.ACKNOWLEDGED)
    acknowledged = state in (AlarmState.ACKNOWLEDGED, AlarmState.NORMAL)
    site, edge = (SiteId(""), "") if sensor is None else (SiteId(sensor.site), sensor.edge)
    condition = Condition(
        site, row.sensor, kind, holds=True, at_ns=InstantNs(row.raised_ns), edge=edge, parameter=row.parameter,
        value=row.value, u=row.u, limit=row.limit, cause=row.cause, response=row.response,
    )  # fmt: skip
    events = {
        AlarmState.UNACKNOWLEDGED: AlarmEvent.RAISED,
        AlarmState.ACKNOWLEDGED: AlarmEvent.ACKNOWLEDGED,
    }
    event = events.get(state, AlarmEvent.CLEARED)
    told = Annunciation.SINGLE if event is AlarmEvent.RAISED else Annunciation.NONE
    alarm = Alarm(
        found=condition,
        definition=replace(DEFAULTS[kind], priority=Priority(row.priority)),
        reporter="calibrate",
        holds=active,
        holds_ns=InstantNs(row.raised_ns if active else row.changed_ns),
        active=active,
        acknowledged=acknowledged,
        annunciation=Annunciation.SINGLE,
        annunciated_ns=InstantNs(row.raised_ns),
        raised_ns=InstantNs(row.raised_ns),
        cleared_ns=None if active else at_ns,
        n_raised=(0 if before is None else before.n_raised) + (event is AlarmEvent.RAISED),
        number=row.number,
        changed_ns=at_ns,
        raised_number=row.number if before is None or event is AlarmEvent.RAISED else before.raised_number,
    )
    return Changed(alarm, event, at_ns, "calibrate", row.cause, told)
