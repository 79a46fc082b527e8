"""Alarms in the tables of their engine: one for each sensor and kind, and every change that it had."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa
from alembic import op

from dyncal.alarms import stored
from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import DEFAULTS
from dyncal.alarms.engine import EngineState
from dyncal.alarms.events import Changed
from dyncal.domain.alarms import AlarmEvent, AlarmKind, AlarmState, Annunciation, Condition, Priority
from dyncal.domain.sensors import SiteId
from dyncal.domain.time import InstantNs

revision = "0003"
down_revision = "0002"

_NAME: Final = sa.String(128)


def upgrade() -> None:
    """Bring the tables here from the revision before."""
    connection = op.get_bind()
    states, changes, desk = _tables()
    _more_tables()
    sensors_ = sa.table("sensors", sa.column("id"), sa.column("site"), sa.column("edge"))
    sensors = {row.id: row for row in connection.execute(sa.select(sensors_))}
    standing: dict[str, Alarm] = {}
    rows = []
    for row in connection.execute(sa.text("SELECT * FROM alarm_history ORDER BY number")):
        change = _changed(row, sensors.get(row.sensor), standing.get(f"{row.sensor}:{row.kind}"))
        standing[change.alarm.id] = change.alarm
        rows.append(change)
    if rows:
        last = rows[-1]
        state = EngineState(InstantNs(max(c.at_ns for c in rows)), last.alarm.number)
        op.bulk_insert(changes, [_row(change) for change in rows])
        op.bulk_insert(states, [
            {"id": a.id, "active": a.active, "number": a.number, "document": stored.dump(a)} for a in standing.values()
        ])  # fmt: skip
        op.bulk_insert(desk, [{"only": 1, "revision": 1, "document": stored.dump(state)}])
    op.drop_table("alarms")
    op.drop_table("alarm_history")
    op.execute("UPDATE schema_version SET version = 3")


def _tables() -> tuple[sa.Table, sa.Table, sa.Table]:
    states = op.create_table(
        "alarm_states",
        sa.Column("id", sa.String(300), primary_key=True),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False, index=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    changes = op.create_table(
        "alarm_changes",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("alarm", sa.String(300), nullable=False),
        sa.Column("source", _NAME, nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False, index=True),
        sa.Column("priority", sa.String(16), nullable=False),
        sa.Column("annunciated", sa.String(16), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index("alarm_changes_of_alarm", "alarm_changes", ["alarm", "number"])
    op.create_index("alarm_changes_of_source", "alarm_changes", ["source", "number"])
    desk = op.create_table(
        "alarm_desk",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    return states, changes, desk


def _more_tables() -> None:
    op.create_table(
        "alarm_definitions",
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("changed_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "alarm_floods",
        sa.Column("began_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("ended_ns", sa.BigInteger),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "alarm_answers",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("at_ns", sa.BigInteger, nullable=False, index=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
    )


def _row(change: Changed) -> dict[str, Any]:
    return {
        "number": change.alarm.number,
        "alarm": change.alarm.id,
        "source": change.alarm.found.source,
        "event": change.event,
        "at_ns": change.at_ns,
        "priority": change.alarm.priority,
        "annunciated": change.annunciated,
        "actor": change.actor,
        "reason": change.reason,
        "document": stored.dump(change.alarm),
    }


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
