"""The history of coefficient sets in the registry, and the policies by which they are released."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

import sqlalchemy as sa

from dyncal.adapters.registry import audit, counters, documents
from dyncal.adapters.registry.lifecycle_tables import release_policies, set_moves
from dyncal.domain.coefficients import SetState
from dyncal.domain.errors import NotFound
from dyncal.domain.lifecycle import Move, ReleasePolicy
from dyncal.domain.sensors import SensorId
from dyncal.domain.time import InstantNs
from dyncal.ports.lifecycle import PolicyRecord
from dyncal.ports.records import Act


def add(connection: sa.Connection, moves: Sequence[Move]) -> None:
    """Append moves to the history and to the audit trail."""
    connection.execute(
        sa.insert(set_moves),
        [
            {
                "set_id": move.set_id,
                "sensor": move.sensor,
                "before": move.before,
                "state": move.state,
                "actor": move.actor,
                "at_ns": move.at_ns,
                "reason": move.reason,
            }
            for move in moves
        ],
    )
    audit.append_all(connection, [(Act(m.actor, m.at_ns, m.reason), f"set.{m.state}", m.set_id) for m in moves])


def of_set(connection: sa.Connection, set_id: str) -> list[Move]:
    """Return the moves of a set, oldest first."""
    query = sa.select(set_moves).where(set_moves.c.set_id == set_id).order_by(set_moves.c.number)
    return [_move(row) for row in connection.execute(query)]


def of_sensor(connection: sa.Connection, sensor: SensorId, before: int | None, limit: int) -> list[Move]:
    """Return moves with number < before of all sets of a sensor, newest first."""
    query = sa.select(set_moves).where(set_moves.c.sensor == sensor).order_by(set_moves.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(set_moves.c.number < before)
    return [_move(row) for row in connection.execute(query)]


_RELEASED: Final = (set_moves.c.state == SetState.PUBLISHED) | (  # what was in force when histories began counts
    (set_moves.c.state == SetState.ACTIVE) & set_moves.c.before.is_(None)
)
_PER_QUERY: Final = 500


def anchors(connection: sa.Connection, sensors: Collection[SensorId], not_by: str) -> dict[SensorId, str]:
    """Return, by sensor with a policy, the set that was published last: not by that actor, or before that policy."""
    found: dict[SensorId, str] = {}
    m, p, wanted = set_moves.c, release_policies.c, list(sensors)
    for start in range(0, len(wanted), _PER_QUERY):
        newest = (
            sa.select(sa.func.max(m.number))
            .join(release_policies, p.sensor == m.sensor)
            .where(m.sensor.in_(wanted[start : start + _PER_QUERY]), _RELEASED)
            .where((m.actor != not_by) | (m.at_ns <= p.changed_ns))
            .group_by(m.sensor)
        )
        rows = connection.execute(sa.select(m.sensor, m.set_id).where(m.number.in_(newest)))
        found.update((SensorId(sensor), set_id) for sensor, set_id in rows)
    return found


def last_released(connection: sa.Connection, sensor: SensorId, until_ns: InstantNs | None, not_by: str) -> str | None:
    """Return the id of the set that was published last: at the latest at an instant, and not by that actor."""
    query = (
        sa.select(set_moves.c.set_id)
        .where(set_moves.c.sensor == sensor, _RELEASED)
        .order_by(set_moves.c.number.desc())
        .limit(1)
    )
    if until_ns is not None:
        query = query.where(set_moves.c.at_ns <= until_ns)
    if not_by:
        query = query.where(set_moves.c.actor != not_by)
    return connection.execute(query).scalar_one_or_none()


def _move(row: sa.Row[Any]) -> Move:
    return Move(
        row.set_id,
        SensorId(row.sensor),
        None if row.before is None else SetState(row.before),
        SetState(row.state),
        row.actor,
        InstantNs(row.at_ns),
        row.reason,
        row.number,
    )


def policies(connection: sa.Connection) -> dict[SensorId, PolicyRecord]:
    """Return the policies of all sensors that have one."""
    return {SensorId(row.sensor): _policy(row) for row in connection.execute(sa.select(release_policies))}


def policy(connection: sa.Connection, sensor: SensorId) -> PolicyRecord | None:
    """Return the policy of a sensor, if it has one."""
    row = connection.execute(sa.select(release_policies).where(release_policies.c.sensor == sensor)).one_or_none()
    return None if row is None else _policy(row)


def put_policy(connection: sa.Connection, sensor: SensorId, wanted: ReleasePolicy | None, act: Act) -> None:
    """Replace the policy of a sensor, or take it away. Raises `NotFound` where there is none to take."""
    t = release_policies
    gone = connection.execute(sa.delete(t).where(t.c.sensor == sensor)).rowcount
    if wanted is None and not gone:
        raise NotFound(f"sensor {sensor} has no policy of its own")
    if wanted is not None:
        content = documents.dump(wanted)
        row = {"sensor": sensor, "document": content, "actor": act.actor, "changed_ns": act.at_ns}
        connection.execute(sa.insert(t).values(row))
    audit.append(connection, act, "policy.put" if wanted is not None else "policy.remove", sensor)
    counters.increase(connection, "sensors")


def _policy(row: sa.Row[Any]) -> PolicyRecord:
    return PolicyRecord(documents.load(row.document, ReleasePolicy), row.actor, InstantNs(row.changed_ns))
