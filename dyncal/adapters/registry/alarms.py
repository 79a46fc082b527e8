"""Alarms in the registry: as they stand, every change that they went through, and what their engine needs to go on."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from dyncal.adapters.registry import audit
from dyncal.adapters.registry.reach import within
from dyncal.adapters.registry.schema import (
    alarm_answers,
    alarm_changes,
    alarm_definitions,
    alarm_desk,
    alarm_floods,
    alarm_states,
)
from dyncal.alarms import stored
from dyncal.alarms.alarm import Alarm
from dyncal.alarms.definitions import Definition
from dyncal.alarms.engine import EngineState
from dyncal.alarms.events import Changed
from dyncal.alarms.flood import Flood
from dyncal.alarms.kpis import Figure
from dyncal.domain.alarms import AlarmEvent, AlarmKind, Annunciation, Priority
from dyncal.domain.errors import Conflict
from dyncal.domain.time import InstantNs, duration
from dyncal.ports.records import Act
from dyncal.ports.registry import AlarmAnswer, AlarmWrite, ChangeFilter

_DAY: Final = duration(86_400.0)


def load(connection: sa.Connection) -> tuple[EngineState, int]:
    """Return all that an alarm engine needs to go on, and the revision."""
    desk = connection.execute(sa.select(alarm_desk.c.revision, alarm_desk.c.document)).one_or_none()
    rows = connection.execute(sa.select(alarm_states.c.document).order_by(alarm_states.c.id)).scalars()
    state = EngineState() if desk is None else stored.load_state(desk.document)
    state = EngineState(
        state.now_ns,
        state.number,
        state.recent,
        state.flood,
        tuple(stored.load_alarm(document) for document in rows),
        tuple(sorted((kind, definition) for kind, (definition, _) in definitions(connection).items())),
    )
    return state, 0 if desk is None else desk.revision


def write(connection: sa.Connection, write: AlarmWrite) -> int:
    """Write all of it, and its lines of the audit trail; return the new revision. Raises `Conflict`."""
    after = write.revision + 1
    state = stored.dump(EngineState(write.state.now_ns, write.state.number, write.state.recent, write.state.flood))
    if write.revision == 0:  # a second writer's row is refused by its primary key
        connection.execute(sa.insert(alarm_desk).values(only=1, revision=after, document=state))
    else:
        found = alarm_desk.c.revision == write.revision
        done = connection.execute(sa.update(alarm_desk).where(found).values(revision=after, document=state))
        if done.rowcount != 1:
            raise Conflict("the registry's alarms were written by another process")
    _put(connection, alarm_states, "id", [
        {"id": a.id, "active": a.active, "number": a.number, "document": stored.dump(a)} for a in write.kept
    ])  # fmt: skip
    if write.changes:
        connection.execute(sa.insert(alarm_changes), [change_row(change) for change in write.changes])
    _put(connection, alarm_floods, "began_ns", [
        {"began_ns": f.began_ns, "ended_ns": f.ended_ns, "document": stored.dump(f)} for f in write.floods
    ])  # fmt: skip
    _put(connection, alarm_definitions, "kind", [
        {"kind": d.kind, "changed_ns": d.at_ns, "document": stored.dump(d.definition)} for d in write.definitions
    ])  # fmt: skip
    _answers(connection, write)
    audited = [
        (Act(c.actor, c.at_ns, c.reason), f"alarm.{c.event}", c.alarm.id)
        for c in write.changes
        if c.event is not AlarmEvent.UPDATED
    ]
    audited += [(Act(d.actor, d.at_ns, d.reason), "alarm_definition.put", d.kind) for d in write.definitions]
    audit.append_all(connection, audited)
    return after


def _put(connection: sa.Connection, table: sa.Table, key: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(sa.delete(table).where(table.c[key] == sa.bindparam("k")), [{"k": r[key]} for r in rows])
        connection.execute(sa.insert(table), rows)


def _answers(connection: sa.Connection, write: AlarmWrite) -> None:
    if not write.answers:
        return
    newest = max(answer.at_ns for answer in write.answers)
    connection.execute(sa.delete(alarm_answers).where(alarm_answers.c.at_ns < newest - _DAY))
    _put(connection, alarm_answers, "key", [
        {"key": a.key, "at_ns": a.at_ns, "digest": a.digest, "answer": a.answer} for a in write.answers
    ])  # fmt: skip


def change_row(change: Changed) -> dict[str, Any]:
    """Return the row of a change."""
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


def standing(connection: sa.Connection, active_only: bool, limit: int) -> list[Alarm]:
    """Return alarms that ever changed, last changed first."""
    query = sa.select(alarm_states.c.document).where(alarm_states.c.number > 0)
    if active_only:
        query = query.where(alarm_states.c.active)
    rows = connection.execute(query.order_by(alarm_states.c.number.desc()).limit(limit)).scalars()
    return [stored.load_alarm(document) for document in rows]


def history(connection: sa.Connection, only: ChangeFilter, before: int | None, limit: int) -> list[Changed]:
    """Return changes with number < before, newest first."""
    c = alarm_changes.c
    query = sa.select(alarm_changes).order_by(c.number.desc()).limit(limit)
    if only.alarm:
        query = query.where(c.alarm == only.alarm)
    if only.source:
        query = query.where(c.source == only.source)
    if only.events:
        query = query.where(c.event.in_(only.events))
    if only.from_ns is not None:
        query = query.where(c.at_ns >= only.from_ns)
    if only.to_ns is not None:
        query = query.where(c.at_ns < only.to_ns)
    if only.reach is not None:
        query = query.where(sa.or_(within(c.source, only.reach), c.source.in_(sorted(only.reach.edges))))
    if before is not None:
        query = query.where(c.number < before)
    return [_change(row) for row in connection.execute(query)]


def changes(connection: sa.Connection, after: int, limit: int) -> list[Changed]:
    """Return changes with number > after, oldest first."""
    number = alarm_changes.c.number
    query = sa.select(alarm_changes).where(number > after).order_by(number).limit(limit)
    return [_change(row) for row in connection.execute(query)]


def _change(row: sa.Row[Any]) -> Changed:
    return Changed(
        stored.load_alarm(row.document),
        AlarmEvent(row.event),
        InstantNs(row.at_ns),
        row.actor,
        row.reason,
        Annunciation(row.annunciated),
    )


def figures(connection: sa.Connection, from_ns: InstantNs, to_ns: InstantNs) -> list[Figure]:
    """Return what figures of performance are made of, oldest first."""
    c = alarm_changes.c
    query = sa.select(c.at_ns, c.alarm, c.event, c.priority, c.annunciated).where(c.at_ns >= from_ns, c.at_ns < to_ns)
    return [
        Figure(InstantNs(at_ns), alarm, AlarmEvent(event), Priority(priority), Annunciation(annunciated))
        for at_ns, alarm, event, priority, annunciated in connection.execute(query.order_by(c.number))
    ]


def floods(connection: sa.Connection, from_ns: InstantNs, to_ns: InstantNs) -> list[Flood]:
    """Return floods that overlap [from, to), oldest first."""
    c = alarm_floods.c
    lasts = sa.or_(c.ended_ns.is_(None), c.ended_ns > from_ns)
    query = sa.select(c.document).where(c.began_ns < to_ns, lasts).order_by(c.began_ns)
    return [stored.load_flood(document) for document in connection.execute(query).scalars()]


def definitions(connection: sa.Connection) -> dict[AlarmKind, tuple[Definition, InstantNs]]:
    """Return the definitions that somebody changed, and when."""
    rows = connection.execute(sa.select(alarm_definitions))
    return {AlarmKind(r.kind): (stored.load_definition(r.document), InstantNs(r.changed_ns)) for r in rows}


def answer(connection: sa.Connection, key: str) -> AlarmAnswer | None:
    """Return the answer that was given under a key, if it is kept."""
    row = connection.execute(sa.select(alarm_answers).where(alarm_answers.c.key == key)).one_or_none()
    return None if row is None else AlarmAnswer(row.key, InstantNs(row.at_ns), row.digest, bytes(row.answer))
